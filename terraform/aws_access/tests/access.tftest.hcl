mock_provider "aws" {
  mock_data "aws_partition" {
    defaults = { partition = "aws" }
  }
}

variables {
  name_prefix     = "models"
  bucket_name     = "models-of-a-team"
  prefix          = "models/"
  writer_services = ["ec2.amazonaws.com"]
  reader_services = ["ecs-tasks.amazonaws.com"]
}

run "reader_reads_and_no_more" {
  assert {
    condition = jsonencode(jsondecode(aws_iam_role_policy.this["reader"].policy)) == jsonencode({
      Statement = [{
        Action   = ["s3:GetObject", "s3:GetObjectVersion"]
        Effect   = "Allow"
        Resource = ["arn:aws:s3:::models-of-a-team/models/*"]
        Sid      = "Objects"
      }]
      Version = "2012-10-17"
    })
    error_message = "The reader's policy is another one."
  }
}

run "writer_writes_and_no_more" {
  assert {
    condition = jsonencode(jsondecode(aws_iam_role_policy.this["writer"].policy)) == jsonencode({
      Statement = [{
        Action = [
          "s3:GetObject",
          "s3:GetObjectVersion",
          "s3:PutObject",
          "s3:DeleteObject",
          "s3:AbortMultipartUpload",
        ]
        Effect   = "Allow"
        Resource = ["arn:aws:s3:::models-of-a-team/models/*"]
        Sid      = "Objects"
      }]
      Version = "2012-10-17"
    })
    error_message = "The writer's policy is another one."
  }

  assert {
    condition     = jsondecode(aws_iam_role.this["writer"].assume_role_policy).Statement[0].Principal.Service == ["ec2.amazonaws.com"]
    error_message = "Another service may become the writer."
  }

  assert {
    condition     = length(aws_iam_openid_connect_provider.this) == 0
    error_message = "Nobody asked for a provider."
  }
}

run "listing_is_confined_to_the_prefix" {
  variables {
    reader_may_list = true
  }

  assert {
    condition = jsonencode(jsondecode(output.reader_policy_json).Statement[1]) == jsonencode({
      Action    = ["s3:ListBucket"]
      Condition = { StringLike = { "s3:prefix" = ["models/*"] } }
      Effect    = "Allow"
      Resource  = ["arn:aws:s3:::models-of-a-team"]
      Sid       = "List"
    })
    error_message = "Listing is not what was asked for."
  }

  assert {
    condition     = length(jsondecode(output.writer_policy_json).Statement) == 1
    error_message = "The writer was not to list."
  }
}

run "key" {
  variables {
    kms_key_arn = "arn:aws:kms:eu-central-1:123456789012:key/1234abcd-12ab-34cd-56ef-1234567890ab"
  }

  assert {
    condition     = jsondecode(output.reader_policy_json).Statement[1].Action == ["kms:Decrypt"]
    error_message = "The reader decrypts, and does nothing else with the key."
  }

  assert {
    condition     = jsondecode(output.writer_policy_json).Statement[1].Action == ["kms:Decrypt", "kms:GenerateDataKey"]
    error_message = "The writer could not upload in parts."
  }

  assert {
    condition     = jsondecode(output.writer_policy_json).Statement[1].Resource == [var.kms_key_arn]
    error_message = "Another key is meant."
  }
}

run "continuous_integration_signs_in" {
  variables {
    writer_services      = []
    reader_services      = []
    oidc_issuer_url      = "https://token.actions.githubusercontent.com"
    oidc_writer_subjects = ["repo:acme/train:ref:refs/heads/main"]
  }

  override_resource {
    target = aws_iam_openid_connect_provider.this
    values = { arn = "arn:aws:iam::123456789012:oidc-provider/token.actions.githubusercontent.com" }
  }

  assert {
    condition = jsonencode(jsondecode(aws_iam_role.this["writer"].assume_role_policy).Statement) == jsonencode([{
      Action = "sts:AssumeRoleWithWebIdentity"
      Condition = {
        StringEquals = { "token.actions.githubusercontent.com:aud" = "sts.amazonaws.com" }
        StringLike   = { "token.actions.githubusercontent.com:sub" = ["repo:acme/train:ref:refs/heads/main"] }
      }
      Effect    = "Allow"
      Principal = { Federated = "arn:aws:iam::123456789012:oidc-provider/token.actions.githubusercontent.com" }
    }])
    error_message = "Who signs in is not checked as it should be."
  }

  assert {
    condition     = output.reader_role_arn == null && !contains(keys(aws_iam_role.this), "reader")
    error_message = "There is a reader that nobody may become."
  }
}

run "provider_that_is_there_already" {
  variables {
    oidc_issuer_url      = "https://oidc.eks.eu-central-1.amazonaws.com/id/ABC"
    oidc_provider_arn    = "arn:aws:iam::123456789012:oidc-provider/oidc.eks.eu-central-1.amazonaws.com/id/ABC"
    oidc_reader_subjects = ["system:serviceaccount:serving:models"]
  }

  assert {
    condition     = length(aws_iam_openid_connect_provider.this) == 0
    error_message = "An account can have only one provider for an issuer."
  }

  assert {
    condition     = jsondecode(aws_iam_role.this["reader"].assume_role_policy).Statement[1].Principal.Federated == var.oidc_provider_arn
    error_message = "Another provider is trusted."
  }
}

run "refuses_subjects_that_let_strangers_in" {
  command = plan

  variables {
    oidc_issuer_url      = "https://token.actions.githubusercontent.com"
    oidc_writer_subjects = ["repo:acme/*:ref:refs/heads/main"]
    oidc_reader_subjects = ["*"]
  }

  expect_failures = [var.oidc_writer_subjects, var.oidc_reader_subjects]
}

run "refuses_subjects_without_an_issuer" {
  command = plan

  variables {
    oidc_writer_subjects = ["repo:acme/train:ref:refs/heads/main"]
  }

  expect_failures = [var.oidc_writer_subjects]
}

run "refuses_a_provider_without_an_issuer" {
  command = plan

  variables {
    oidc_provider_arn = "arn:aws:iam::123456789012:oidc-provider/token.actions.githubusercontent.com"
  }

  expect_failures = [var.oidc_provider_arn]
}

run "refuses_bad_values" {
  command = plan

  variables {
    name_prefix           = "a role"
    bucket_name           = "s3://models"
    prefix                = "models/*"
    kms_key_arn           = "alias/models"
    writer_services       = ["*"]
    reader_services       = ["lambda"]
    writer_principal_arns = ["*"]
    reader_principal_arns = ["arn:aws:iam::123456789012:role/*"]
    oidc_issuer_url       = "http://token.actions.githubusercontent.com/"
    oidc_audience         = "*"
    max_session_seconds   = 60
  }

  expect_failures = [
    var.name_prefix,
    var.bucket_name,
    var.prefix,
    var.kms_key_arn,
    var.writer_services,
    var.reader_services,
    var.writer_principal_arns,
    var.reader_principal_arns,
    var.oidc_issuer_url,
    var.oidc_audience,
    var.max_session_seconds,
  ]
}
