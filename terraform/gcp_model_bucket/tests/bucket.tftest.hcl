mock_provider "google" {}

variables {
  project_id  = "a-project"
  bucket_name = "models-of-a-team"
  location    = "europe-west3"
}

run "closed_and_versioned" {
  assert {
    condition     = google_storage_bucket.this.public_access_prevention == "enforced" && google_storage_bucket.this.uniform_bucket_level_access
    error_message = "The bucket can be opened to the public."
  }

  assert {
    condition     = google_storage_bucket.this.versioning[0].enabled
    error_message = "The bucket keeps no versions."
  }

  assert {
    condition     = google_storage_bucket.this.soft_delete_policy[0].retention_duration_seconds == 604800
    error_message = "What is deleted cannot be restored for a week."
  }

  assert {
    condition     = google_storage_bucket.this.force_destroy == false
    error_message = "Models would go with the bucket."
  }

  assert {
    condition     = length(google_storage_bucket.this.encryption) == 0 && length(google_storage_bucket.this.logging) == 0
    error_message = "Nobody asked for a key or for logs."
  }

  assert {
    condition     = output.url == "gs://models-of-a-team"
    error_message = "The URL is another one."
  }
}

run "versions_and_uploads_are_cleared_away" {
  variables {
    noncurrent_version_days         = 14
    noncurrent_versions_kept        = 5
    abort_incomplete_multipart_days = 2
  }

  assert {
    condition = (
      one(google_storage_bucket.this.lifecycle_rule[0].action).type == "AbortIncompleteMultipartUpload"
      && one(google_storage_bucket.this.lifecycle_rule[0].condition).age == 2
    )
    error_message = "Incomplete uploads stay."
  }

  assert {
    condition = (
      one(google_storage_bucket.this.lifecycle_rule[1].action).type == "Delete"
      && one(google_storage_bucket.this.lifecycle_rule[1].condition).with_state == "ARCHIVED"
      && one(google_storage_bucket.this.lifecycle_rule[1].condition).days_since_noncurrent_time == 14
      && one(google_storage_bucket.this.lifecycle_rule[1].condition).num_newer_versions == 5
    )
    error_message = "Other versions go."
  }
}

run "key_and_logs" {
  variables {
    kms_key_name      = "projects/a-project/locations/europe-west3/keyRings/models/cryptoKeys/models"
    access_log_bucket = "logs-of-a-team"
    soft_delete_days  = 0
  }

  assert {
    condition     = google_storage_bucket.this.encryption[0].default_kms_key_name == var.kms_key_name
    error_message = "Another key is used."
  }

  assert {
    condition     = google_storage_bucket.this.logging[0].log_bucket == "logs-of-a-team"
    error_message = "The logs go elsewhere."
  }

  assert {
    condition     = google_storage_bucket.this.soft_delete_policy[0].retention_duration_seconds == 0
    error_message = "Soft delete was to be off."
  }
}

run "refuses_bad_values" {
  command = plan

  variables {
    project_id                      = "A"
    bucket_name                     = "google.models"
    location                        = "the moon"
    kms_key_name                    = "models"
    noncurrent_version_days         = 0
    noncurrent_versions_kept        = 0
    abort_incomplete_multipart_days = 0
    soft_delete_days                = 3
  }

  expect_failures = [
    var.project_id,
    var.bucket_name,
    var.location,
    var.kms_key_name,
    var.noncurrent_version_days,
    var.noncurrent_versions_kept,
    var.abort_incomplete_multipart_days,
    var.soft_delete_days,
  ]
}

run "refuses_to_log_into_itself" {
  command = plan

  variables {
    access_log_bucket = "models-of-a-team"
  }

  expect_failures = [var.access_log_bucket]
}
