mock_provider "aws" {
  mock_data "aws_partition" {
    defaults = { partition = "aws" }
  }
}

variables {
  bucket_name = "models-of-a-team"
}

run "closed_encrypted_and_versioned" {
  assert {
    condition = alltrue([
      aws_s3_bucket_public_access_block.this.block_public_acls,
      aws_s3_bucket_public_access_block.this.block_public_policy,
      aws_s3_bucket_public_access_block.this.ignore_public_acls,
      aws_s3_bucket_public_access_block.this.restrict_public_buckets,
    ])
    error_message = "The bucket is open to the public."
  }

  assert {
    condition     = aws_s3_bucket_versioning.this.versioning_configuration[0].status == "Enabled"
    error_message = "The bucket keeps no versions."
  }

  assert {
    condition     = one(aws_s3_bucket_server_side_encryption_configuration.this.rule).apply_server_side_encryption_by_default[0].sse_algorithm == "AES256"
    error_message = "Without a key, S3 encrypts with its own."
  }

  assert {
    condition     = aws_s3_bucket_ownership_controls.this.rule[0].object_ownership == "BucketOwnerEnforced"
    error_message = "Access lists are not switched off."
  }

  assert {
    condition     = aws_s3_bucket.this.force_destroy == false
    error_message = "Models would go with the bucket."
  }

  assert {
    condition     = length(aws_s3_bucket_logging.this) == 0
    error_message = "Nobody asked for logs."
  }

  assert {
    condition     = output.url == "s3://models-of-a-team"
    error_message = "The URL is another one."
  }
}

run "only_over_tls" {
  assert {
    condition = [
      for statement in jsondecode(aws_s3_bucket_policy.this.policy).Statement : jsonencode(statement.Condition)
      if statement.Effect == "Deny" && statement.Principal == "*" && statement.Action == "s3:*"
      && toset(statement.Resource) == toset(["arn:aws:s3:::models-of-a-team", "arn:aws:s3:::models-of-a-team/*"])
      ] == [
      jsonencode({ Bool = { "aws:SecureTransport" = "false" } }),
      jsonencode({ NumericLessThan = { "s3:TlsVersion" = "1.2" } }),
    ]
    error_message = "Plain HTTP or old TLS is let in."
  }

  assert {
    condition     = length(jsondecode(aws_s3_bucket_policy.this.policy).Statement) == 2
    error_message = "Nothing is write-once unless it is asked for."
  }
}

run "versions_and_uploads_are_cleared_away" {
  variables {
    noncurrent_version_days         = 14
    noncurrent_versions_kept        = 5
    abort_incomplete_multipart_days = 2
  }

  assert {
    condition     = aws_s3_bucket_lifecycle_configuration.this.rule[0].abort_incomplete_multipart_upload[0].days_after_initiation == 2
    error_message = "Incomplete uploads stay."
  }

  assert {
    condition     = aws_s3_bucket_lifecycle_configuration.this.rule[1].noncurrent_version_expiration[0].noncurrent_days == 14
    error_message = "Old versions stay for another time."
  }

  assert {
    condition     = aws_s3_bucket_lifecycle_configuration.this.rule[1].noncurrent_version_expiration[0].newer_noncurrent_versions == 5
    error_message = "Other numbers of versions are kept."
  }

  assert {
    condition     = alltrue([for rule in aws_s3_bucket_lifecycle_configuration.this.rule : rule.status == "Enabled"])
    error_message = "A rule is switched off."
  }
}

run "own_key" {
  variables {
    kms_key_arn = "arn:aws:kms:eu-central-1:123456789012:key/1234abcd-12ab-34cd-56ef-1234567890ab"
  }

  assert {
    condition     = one(aws_s3_bucket_server_side_encryption_configuration.this.rule).apply_server_side_encryption_by_default[0].sse_algorithm == "aws:kms"
    error_message = "The key is not used."
  }

  assert {
    condition     = one(aws_s3_bucket_server_side_encryption_configuration.this.rule).apply_server_side_encryption_by_default[0].kms_master_key_id == var.kms_key_arn
    error_message = "Another key is used."
  }

  assert {
    condition     = one(aws_s3_bucket_server_side_encryption_configuration.this.rule).bucket_key_enabled
    error_message = "Each object would cost a call to KMS."
  }
}

run "write_once" {
  variables {
    write_once_prefixes = ["releases/", "audit/2026/"]
  }

  assert {
    condition = jsonencode(jsondecode(aws_s3_bucket_policy.this.policy).Statement[2]) == jsonencode({
      Action = "s3:PutObject"
      Condition = {
        Bool = { "s3:ObjectCreationOperation" = "true" }
        Null = { "s3:if-match" = "true", "s3:if-none-match" = "true" }
      }
      Effect    = "Deny"
      Principal = "*"
      Resource  = ["arn:aws:s3:::models-of-a-team/releases/*", "arn:aws:s3:::models-of-a-team/audit/2026/*"]
      Sid       = "DenyUnconditionalWrites"
    })
    error_message = "Objects below the prefixes may be replaced unseen."
  }

  assert {
    condition = jsonencode(jsondecode(aws_s3_bucket_policy.this.policy).Statement[3].Condition) == jsonencode({
      Bool = { "s3:ObjectCreationOperation" = "true" }
      Null = { "s3:if-none-match" = "true" }
    })
    error_message = "Files of models below the prefixes may be replaced."
  }

  assert {
    condition = length(setsubtract(
      ["arn:aws:s3:::models-of-a-team/releases/*.keras", "arn:aws:s3:::models-of-a-team/audit/2026/*/variables/*"],
      jsondecode(aws_s3_bucket_policy.this.policy).Statement[3].Resource,
    )) == 0 && length(jsondecode(aws_s3_bucket_policy.this.policy).Statement[3].Resource) == 16
    error_message = "Other files are meant."
  }
}

run "logging" {
  variables {
    access_log_bucket = "logs-of-a-team"
  }

  assert {
    condition     = aws_s3_bucket_logging.this[0].target_bucket == "logs-of-a-team"
    error_message = "The logs go elsewhere."
  }

  assert {
    condition     = aws_s3_bucket_logging.this[0].target_prefix == "models-of-a-team/"
    error_message = "The logs of two buckets would mix."
  }
}

run "refuses_a_bad_name" {
  command = plan

  variables {
    bucket_name = "Models.Of_A_Team"
  }

  expect_failures = [var.bucket_name]
}

run "refuses_an_alias_of_a_key" {
  command = plan

  variables {
    kms_key_arn = "alias/models"
  }

  expect_failures = [var.kms_key_arn]
}

run "refuses_to_keep_nothing" {
  command = plan

  variables {
    noncurrent_version_days         = 0
    noncurrent_versions_kept        = 0
    abort_incomplete_multipart_days = 0.5
  }

  expect_failures = [
    var.noncurrent_version_days,
    var.noncurrent_versions_kept,
    var.abort_incomplete_multipart_days,
  ]
}

run "refuses_prefixes_that_mean_something_else" {
  command = plan

  variables {
    write_once_prefixes = ["releases"]
  }

  expect_failures = [var.write_once_prefixes]
}

run "refuses_wildcards_in_prefixes" {
  command = plan

  variables {
    write_once_prefixes = ["*/"]
  }

  expect_failures = [var.write_once_prefixes]
}

run "refuses_to_log_into_itself" {
  command = plan

  variables {
    access_log_bucket = "models-of-a-team"
    access_log_prefix = "/logs"
  }

  expect_failures = [var.access_log_bucket, var.access_log_prefix]
}
