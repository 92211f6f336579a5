resource "google_storage_bucket" "this" {
  project       = var.project_id
  name          = var.bucket_name
  location      = var.location
  storage_class = "STANDARD"
  force_destroy = var.force_destroy
  labels        = var.labels

  uniform_bucket_level_access = true
  public_access_prevention    = "enforced"

  versioning {
    enabled = true
  }

  soft_delete_policy {
    retention_duration_seconds = var.soft_delete_days * 86400
  }

  lifecycle_rule {
    action {
      type = "AbortIncompleteMultipartUpload"
    }

    condition {
      age = var.abort_incomplete_multipart_days
    }
  }

  # Both conditions must hold: old, and with enough newer versions.
  lifecycle_rule {
    action {
      type = "Delete"
    }

    condition {
      with_state                 = "ARCHIVED"
      days_since_noncurrent_time = var.noncurrent_version_days
      num_newer_versions         = var.noncurrent_versions_kept
    }
  }

  dynamic "encryption" {
    for_each = compact([var.kms_key_name])

    content {
      default_kms_key_name = encryption.value
    }
  }

  dynamic "logging" {
    for_each = compact([var.access_log_bucket])

    content {
      log_bucket        = logging.value
      log_object_prefix = var.bucket_name
    }
  }
}
