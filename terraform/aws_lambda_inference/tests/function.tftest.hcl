mock_provider "aws" {
  mock_resource "aws_cloudwatch_log_group" {
    defaults = { arn = "arn:aws:logs:eu-central-1:123456789012:log-group:/aws/lambda/digits" }
  }

  mock_resource "aws_lambda_function" {
    defaults = { version = "7" }
  }
}

variables {
  name              = "digits"
  model_url         = "s3://models-of-a-team/models/digits"
  model_policy_json = "{\"Version\":\"2012-10-17\",\"Statement\":[{\"Effect\":\"Allow\",\"Action\":[\"s3:GetObject\"],\"Resource\":[\"arn:aws:s3:::models-of-a-team/models/*\"]}]}"
  image_uri         = "123456789012.dkr.ecr.eu-central-1.amazonaws.com/digits@sha256:0000000000000000000000000000000000000000000000000000000000000000"
}

run "image_with_a_pinned_digest" {
  variables {
    manifest_digest      = "sha256:1111111111111111111111111111111111111111111111111111111111111111"
    runtime              = "litert"
    memory_mb            = 512
    ephemeral_storage_mb = 1024
    environment          = { REMOTE_MODELS_CLIENT = "obstore" }
  }

  assert {
    condition = aws_lambda_function.this.environment[0].variables == tomap({
      REMOTE_MODELS_CACHE           = "off"
      REMOTE_MODELS_CLIENT          = "obstore"
      REMOTE_MODELS_MANIFEST_DIGEST = "sha256:1111111111111111111111111111111111111111111111111111111111111111"
      REMOTE_MODELS_RUNTIME         = "litert"
      REMOTE_MODELS_URL             = "s3://models-of-a-team/models/digits"
    })
    error_message = "The function serves another model."
  }

  assert {
    condition = (
      aws_lambda_function.this.package_type == "Image"
      && aws_lambda_function.this.image_uri == var.image_uri
      && aws_lambda_function.this.filename == null
      && aws_lambda_function.this.handler == null
      && aws_lambda_function.this.runtime == null
    )
    error_message = "The image is not what is deployed."
  }

  assert {
    condition     = aws_lambda_function.this.memory_size == 512 && aws_lambda_function.this.ephemeral_storage[0].size == 1024
    error_message = "The function has another size."
  }

  assert {
    condition     = length(aws_lambda_function.this.snap_start) == 0 && length(aws_lambda_provisioned_concurrency_config.this) == 0
    error_message = "Nobody asked for warm starts."
  }
}

run "no_more_rights_than_it_needs" {
  assert {
    condition     = aws_iam_role_policy.model.policy == var.model_policy_json
    error_message = "The function may do something else with the bucket."
  }

  assert {
    condition = jsonencode(jsondecode(aws_iam_role_policy.logs.policy).Statement) == jsonencode([{
      Action   = ["logs:CreateLogStream", "logs:PutLogEvents"]
      Effect   = "Allow"
      Resource = "arn:aws:logs:eu-central-1:123456789012:log-group:/aws/lambda/digits:*"
    }])
    error_message = "The function may write other logs."
  }

  assert {
    condition     = length(aws_lambda_function_url.this) == 0 && output.function_url == null
    error_message = "Nobody asked for a URL."
  }

  assert {
    condition     = !contains(keys(aws_lambda_function.this.environment[0].variables), "REMOTE_MODELS_MANIFEST_DIGEST")
    error_message = "There is no digest to pin."
  }
}

run "watched" {
  variables {
    alarm_actions      = ["arn:aws:sns:eu-central-1:123456789012:on-call"]
    alarm_duration_ms  = 1500
    log_retention_days = 14
  }

  assert {
    condition     = keys(aws_cloudwatch_metric_alarm.this) == ["duration", "errors", "throttles"]
    error_message = "Something is not watched."
  }

  assert {
    condition     = alltrue([for alarm in aws_cloudwatch_metric_alarm.this : alarm.alarm_actions == toset(["arn:aws:sns:eu-central-1:123456789012:on-call"])])
    error_message = "Nobody is told."
  }

  assert {
    condition     = aws_cloudwatch_metric_alarm.this["duration"].threshold == 1500 && aws_cloudwatch_metric_alarm.this["duration"].extended_statistic == "p99"
    error_message = "Slow requests raise no alarm."
  }

  assert {
    condition     = aws_cloudwatch_log_group.this.retention_in_days == 14 && aws_lambda_function.this.logging_config[0].log_group == "/aws/lambda/digits"
    error_message = "The logs go elsewhere, or stay for another time."
  }
}

run "zip_with_snap_start" {
  variables {
    image_uri  = null
    zip_path   = "tests/handler.zip"
    snap_start = true
  }

  assert {
    condition     = aws_lambda_function.this.package_type == "Zip" && aws_lambda_function.this.runtime == "python3.12" && aws_lambda_function.this.handler == "handler.handler"
    error_message = "The zip is not what is deployed."
  }

  assert {
    condition     = aws_lambda_function.this.source_code_hash == filebase64sha256("tests/handler.zip")
    error_message = "Another zip would not be deployed."
  }

  assert {
    condition     = aws_lambda_function.this.snap_start[0].apply_on == "PublishedVersions" && aws_lambda_function.this.publish
    error_message = "There is no version to make a snapshot of."
  }
}

run "warm_functions_and_a_url" {
  variables {
    provisioned_concurrency = 2
    function_url            = true
  }

  assert {
    condition     = aws_lambda_provisioned_concurrency_config.this[0].provisioned_concurrent_executions == 2 && aws_lambda_provisioned_concurrency_config.this[0].qualifier == "live"
    error_message = "Other functions are kept warm."
  }

  assert {
    condition     = aws_lambda_alias.live.function_version == "7"
    error_message = "Callers get another version."
  }

  assert {
    condition     = aws_lambda_function_url.this[0].authorization_type == "AWS_IAM" && aws_lambda_function_url.this[0].qualifier == "live"
    error_message = "The URL is open to everybody."
  }
}

run "refuses_both_image_and_zip" {
  command = plan

  variables {
    zip_path = "tests/handler.zip"
  }

  expect_failures = [var.image_uri]
}

run "refuses_neither_image_nor_zip" {
  command = plan

  variables {
    image_uri = null
  }

  expect_failures = [var.image_uri]
}

run "refuses_snap_start_of_an_image" {
  command = plan

  variables {
    snap_start = true
  }

  expect_failures = [var.snap_start]
}

run "refuses_snap_start_beside_warm_functions" {
  command = plan

  variables {
    image_uri               = null
    zip_path                = "tests/handler.zip"
    snap_start              = true
    provisioned_concurrency = 1
  }

  expect_failures = [var.provisioned_concurrency]
}

run "refuses_what_does_not_fit_the_rest" {
  command = plan

  variables {
    provisioned_concurrency = 5
    reserved_concurrency    = 4
    timeout_seconds         = 10
    alarm_duration_ms       = 10000
  }

  expect_failures = [var.reserved_concurrency, var.alarm_duration_ms]
}

run "refuses_a_writer" {
  command = plan

  variables {
    model_policy_json = "{\"Version\":\"2012-10-17\",\"Statement\":[{\"Effect\":\"Allow\",\"Action\":[\"s3:GetObject\",\"s3:PutObject\"],\"Resource\":[\"*\"]}]}"
  }

  expect_failures = [var.model_policy_json]
}

run "refuses_what_is_no_zip" {
  command = plan

  variables {
    zip_path = "tests"
  }

  expect_failures = [var.zip_path]
}

run "refuses_half_a_function" {
  command = plan

  variables {
    provisioned_concurrency = 0.5
  }

  expect_failures = [var.provisioned_concurrency]
}

run "refuses_bad_values" {
  command = plan

  variables {
    name                 = "a function"
    model_url            = "gs://models/digits"
    manifest_digest      = "sha256:abc"
    model_alias          = "1"
    model_policy_json    = "everything"
    runtime              = "torch"
    image_uri            = "123456789012.dkr.ecr.eu-central-1.amazonaws.com/digits:latest"
    zip_handler          = "handler"
    zip_python           = "2.7"
    architecture         = "riscv"
    memory_mb            = 64
    ephemeral_storage_mb = 100
    timeout_seconds      = 0
    environment          = { REMOTE_MODELS_URL = "s3://other/model" }
    kms_key_arn          = "alias/models"
    log_retention_days   = 31
    alarm_actions        = ["on-call"]
  }

  expect_failures = [
    var.name,
    var.model_url,
    var.manifest_digest,
    var.model_alias,
    var.model_policy_json,
    var.runtime,
    var.image_uri,
    var.zip_handler,
    var.zip_python,
    var.architecture,
    var.memory_mb,
    var.ephemeral_storage_mb,
    var.timeout_seconds,
    var.environment,
    var.kms_key_arn,
    var.log_retention_days,
    var.alarm_actions,
  ]
}

run "follows_an_alias" {
  variables {
    model_alias     = "production"
    refresh_seconds = 60
  }

  assert {
    condition     = aws_lambda_function.this.environment[0].variables["REMOTE_MODELS_ALIAS"] == "production"
    error_message = "The function follows another alias."
  }

  assert {
    condition     = aws_lambda_function.this.environment[0].variables["REMOTE_MODELS_REFRESH"] == "60"
    error_message = "The function does not look for another version."
  }
}

run "refuses_to_refresh_what_is_pinned" {
  command = plan

  variables {
    manifest_digest = "sha256:1111111111111111111111111111111111111111111111111111111111111111"
    refresh_seconds = 60
  }

  expect_failures = [var.refresh_seconds]
}

run "refuses_to_refresh_all_the_time" {
  command = plan

  variables {
    refresh_seconds = 0
  }

  expect_failures = [var.refresh_seconds]
}
