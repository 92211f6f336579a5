mock_provider "google" {
  mock_resource "google_service_account" {
    defaults = { email = "models-reader@a-project.iam.gserviceaccount.com" }
  }
}

variables {
  project_id          = "a-project"
  bucket_name         = "models-of-a-team"
  repository          = "acme/train"
  repository_owner_id = 1234567
  image               = "europe-west3-docker.pkg.dev/a-project/models/digits@sha256:0000000000000000000000000000000000000000000000000000000000000000"
  manifest_digest     = "sha256:1111111111111111111111111111111111111111111111111111111111111111"
}

run "fits_together" {
  assert {
    condition     = output.model_url == "gs://models-of-a-team/models/digits"
    error_message = "The model lies elsewhere."
  }

  assert {
    condition     = output.service_url != null && output.writer_email != null && output.workload_identity_provider != null
    error_message = "Something is missing."
  }
}

run "refuses_to_deploy_what_is_not_pinned" {
  command = plan

  variables {
    project_id          = "A"
    repository          = "train"
    repository_owner_id = 0.5
    image               = "digits:latest"
    manifest_digest     = "latest"
    region              = "Frankfurt"
    bucket_name         = "a"
  }

  expect_failures = [
    var.project_id, var.repository, var.repository_owner_id, var.image, var.manifest_digest, var.region, var.bucket_name,
  ]
}
