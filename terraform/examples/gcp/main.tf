provider "google" {
  project = var.project_id
  region  = var.region
}

module "bucket" {
  source = "../../gcp_model_bucket"

  project_id  = var.project_id
  bucket_name = var.bucket_name
  location    = var.region
}

module "access" {
  source = "../../gcp_access"

  project_id           = var.project_id
  name_prefix          = "models"
  bucket_name          = module.bucket.bucket_name
  prefix               = "models/"
  oidc_issuer_url      = "https://token.actions.githubusercontent.com"
  oidc_condition       = "assertion.repository_owner_id == '${var.repository_owner_id}'"
  oidc_writer_subjects = ["repo:${var.repository}:ref:refs/heads/main"]
}

module "inference" {
  source = "../../gcp_cloud_run_inference"

  project_id            = var.project_id
  region                = var.region
  name                  = "digits"
  model_url             = "${module.bucket.url}/models/digits"
  manifest_digest       = var.manifest_digest
  service_account_email = module.access.reader_email
  image                 = var.image
  runtime               = "litert"
}
