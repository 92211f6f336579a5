provider "aws" {
  region = var.region
}

module "bucket" {
  source = "../../aws_model_bucket"

  bucket_name = var.bucket_name
}

module "access" {
  source = "../../aws_access"

  name_prefix          = "models"
  bucket_name          = module.bucket.bucket_name
  prefix               = "models/"
  writer_services      = ["sagemaker.amazonaws.com"]
  oidc_issuer_url      = "https://token.actions.githubusercontent.com"
  oidc_writer_subjects = ["repo:${var.repository}:ref:refs/heads/main"]
}

module "inference" {
  source = "../../aws_lambda_inference"

  name              = "digits"
  model_url         = "${module.bucket.url}/models/digits"
  manifest_digest   = var.manifest_digest
  model_policy_json = module.access.reader_policy_json
  image_uri         = var.image_uri
  runtime           = "litert"
  function_url      = true
}
