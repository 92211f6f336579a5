locals {
  environment = merge(
    # Loading by a digest needs no other trust in the bucket.
    { for digest in compact([var.manifest_digest]) : "REMOTE_MODELS_MANIFEST_DIGEST" => digest },
    { for alias in compact([var.model_alias]) : "REMOTE_MODELS_ALIAS" => alias },
    { for seconds in var.refresh_seconds[*] : "REMOTE_MODELS_REFRESH" => tostring(seconds) },
    {
      # A function loads its model once: a copy on disk would only cost time.
      REMOTE_MODELS_CACHE   = "off"
      REMOTE_MODELS_URL     = var.model_url
      REMOTE_MODELS_RUNTIME = var.runtime
    },
    var.environment,
  )

  alarms = {
    errors    = { metric = "Errors", statistic = "Sum", percentile = null, threshold = 0, description = "Requests fail." }
    throttles = { metric = "Throttles", statistic = "Sum", percentile = null, threshold = 0, description = "Requests are turned away: reserved_concurrency is too low." }
    duration  = { metric = "Duration", statistic = null, percentile = "p99", threshold = var.alarm_duration_ms, description = "The slowest hundredth of the requests takes too long." }
  }
}

resource "aws_cloudwatch_log_group" "this" {
  #checkov:skip=CKV_AWS_158:The key is the caller's choice (kms_key_arn); CloudWatch encrypts without it too.
  #checkov:skip=CKV_AWS_338:How long logs are kept is the caller's choice; logs of requests may be personal data.
  name              = "/aws/lambda/${var.name}"
  retention_in_days = var.log_retention_days
  kms_key_id        = var.kms_key_arn
  tags              = var.tags
}

resource "aws_iam_role" "this" {
  name        = var.name
  description = "Loads ${var.model_url} and writes logs."
  tags        = var.tags

  assume_role_policy = jsonencode({
    Version = "2012-10-17"
    Statement = [{
      Effect    = "Allow"
      Action    = "sts:AssumeRole"
      Principal = { Service = "lambda.amazonaws.com" }
    }]
  })
}

resource "aws_iam_role_policy" "model" {
  name   = "model"
  role   = aws_iam_role.this.id
  policy = var.model_policy_json
}

resource "aws_iam_role_policy" "logs" {
  name = "logs"
  role = aws_iam_role.this.id

  # The group is made here: the function need not make one.
  policy = jsonencode({
    Version = "2012-10-17"
    Statement = [{
      Effect   = "Allow"
      Action   = ["logs:CreateLogStream", "logs:PutLogEvents"]
      Resource = "${aws_cloudwatch_log_group.this.arn}:*"
    }]
  })
}

resource "aws_lambda_function" "this" {
  #checkov:skip=CKV_AWS_50:Traces would need rights of their own; durations are in the logs and metrics.
  #checkov:skip=CKV_AWS_116:Callers wait for the answer: there is no event that could be lost.
  #checkov:skip=CKV_AWS_117:It talks to nothing but S3; inside a VPC it would need an endpoint and start later.
  #checkov:skip=CKV_AWS_173:The variables are no secrets; a key can be given (kms_key_arn).
  #checkov:skip=CKV_AWS_272:Images are named by their digest, and a zip by its hash; a signing profile is the account's.
  function_name = var.name
  description   = "Serves ${var.model_url}."
  role          = aws_iam_role.this.arn
  architectures = [var.architecture]

  package_type     = var.image_uri == null ? "Zip" : "Image"
  image_uri        = var.image_uri
  filename         = var.zip_path
  source_code_hash = var.zip_path == null ? null : filebase64sha256(var.zip_path)
  handler          = var.zip_path == null ? null : var.zip_handler
  runtime          = var.zip_path == null ? null : "python${var.zip_python}"

  memory_size                    = var.memory_mb
  timeout                        = var.timeout_seconds
  reserved_concurrent_executions = var.reserved_concurrency
  kms_key_arn                    = var.kms_key_arn
  publish                        = true
  tags                           = var.tags

  ephemeral_storage {
    size = var.ephemeral_storage_mb
  }

  environment {
    variables = local.environment
  }

  logging_config {
    log_format = "JSON"
    log_group  = aws_cloudwatch_log_group.this.name
  }

  dynamic "snap_start" {
    for_each = var.snap_start ? ["PublishedVersions"] : []

    content {
      apply_on = snap_start.value
    }
  }

  # A snapshot is made, and a model loaded, as soon as the function is there.
  depends_on = [aws_iam_role_policy.model, aws_iam_role_policy.logs]
}

# Snapshots and warm functions belong to a version; callers go through this name.
resource "aws_lambda_alias" "live" {
  name             = "live"
  description      = "The version that answers."
  function_name    = aws_lambda_function.this.function_name
  function_version = aws_lambda_function.this.version
}

resource "aws_lambda_provisioned_concurrency_config" "this" {
  count = var.provisioned_concurrency > 0 ? 1 : 0

  function_name                     = aws_lambda_function.this.function_name
  qualifier                         = aws_lambda_alias.live.name
  provisioned_concurrent_executions = var.provisioned_concurrency
}

resource "aws_lambda_function_url" "this" {
  count = var.function_url ? 1 : 0

  function_name      = aws_lambda_function.this.function_name
  qualifier          = aws_lambda_alias.live.name
  authorization_type = "AWS_IAM"
}

resource "aws_cloudwatch_metric_alarm" "this" {
  for_each = local.alarms

  alarm_name          = "${var.name}-${each.key}"
  alarm_description   = each.value.description
  namespace           = "AWS/Lambda"
  metric_name         = each.value.metric
  statistic           = each.value.statistic
  extended_statistic  = each.value.percentile
  dimensions          = { FunctionName = aws_lambda_function.this.function_name }
  comparison_operator = "GreaterThanThreshold"
  threshold           = each.value.threshold
  period              = 300
  evaluation_periods  = 1
  treat_missing_data  = "notBreaching"
  alarm_actions       = var.alarm_actions
  ok_actions          = var.alarm_actions
  tags                = var.tags
}
