mock_provider "aws" {
  mock_data "aws_partition" {
    defaults = { partition = "aws" }
  }
}

variables {
  bucket_name     = "models-of-a-team"
  repository      = "acme/train"
  image_uri       = "123456789012.dkr.ecr.eu-central-1.amazonaws.com/digits@sha256:0000000000000000000000000000000000000000000000000000000000000000"
  manifest_digest = "sha256:1111111111111111111111111111111111111111111111111111111111111111"
}

run "fits_together" {
  assert {
    condition     = output.model_url == "s3://models-of-a-team/models/digits"
    error_message = "The model lies elsewhere."
  }

  assert {
    condition     = jsondecode(module.access.reader_policy_json).Statement[0].Resource == ["arn:aws:s3:::models-of-a-team/models/*"]
    error_message = "The function could not load its model."
  }

  assert {
    condition     = output.writer_role_arn != null && output.function_url != null
    error_message = "Something is missing."
  }
}

run "refuses_to_deploy_what_is_not_pinned" {
  command = plan

  variables {
    repository      = "train"
    image_uri       = "digits:latest"
    manifest_digest = "latest"
    region          = "Frankfurt"
    bucket_name     = "a"
  }

  expect_failures = [var.repository, var.image_uri, var.manifest_digest, var.region, var.bucket_name]
}
