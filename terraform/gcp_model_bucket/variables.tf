variable "project_id" {
  description = "Project that owns the bucket."
  type        = string
  nullable    = false

  validation {
    condition     = can(regex("^[a-z][a-z0-9-]{4,28}[a-z0-9]$", var.project_id))
    error_message = "A project's id has 6 to 30 lower-case letters, digits and hyphens, a letter first."
  }
}

variable "bucket_name" {
  description = "Name of the bucket."
  type        = string
  nullable    = false

  validation {
    # Cloud Storage documentation, "Bucket naming requirements"; no dots, which need a proof of ownership.
    condition     = can(regex("^[a-z0-9][a-z0-9_-]{1,61}[a-z0-9]$", var.bucket_name)) && !startswith(var.bucket_name, "goog")
    error_message = "A bucket's name has 3 to 63 lower-case letters, digits, hyphens and underscores, with a letter or digit at both ends, and does not begin with goog."
  }
}

variable "location" {
  description = "Region or multi-region, such as europe-west3 or EU: near the functions that load."
  type        = string
  nullable    = false

  validation {
    condition     = can(regex("^([A-Za-z]{2,4}[0-9]?|[a-zA-Z]+-[a-zA-Z]+[0-9]+)$", var.location))
    error_message = "A location is named like europe-west3 or EU."
  }
}

variable "kms_key_name" {
  description = "Key of Cloud KMS that encrypts the models; the project's storage service agent must have the right to use it. Null: Google's own keys."
  type        = string
  default     = null

  validation {
    condition     = var.kms_key_name == null || can(regex("^projects/[^/]+/locations/[^/]+/keyRings/[^/]+/cryptoKeys/[^/]+$", var.kms_key_name))
    error_message = "A key is named projects/PROJECT/locations/LOCATION/keyRings/RING/cryptoKeys/KEY."
  }
}

variable "noncurrent_version_days" {
  description = "How many days a replaced or deleted version of an object is kept."
  type        = number
  default     = 30
  nullable    = false

  validation {
    condition     = var.noncurrent_version_days >= 1 && floor(var.noncurrent_version_days) == var.noncurrent_version_days
    error_message = "Versions are kept for a whole number of days, at least 1: who loads a model while it is replaced reads the old version."
  }
}

variable "noncurrent_versions_kept" {
  description = "How many replaced versions of each object are kept however old they are."
  type        = number
  default     = 3
  nullable    = false

  validation {
    condition     = var.noncurrent_versions_kept >= 1 && floor(var.noncurrent_versions_kept) == var.noncurrent_versions_kept
    error_message = "At least 1 version is kept."
  }
}

variable "abort_incomplete_multipart_days" {
  description = "After how many days the parts of a multipart upload that was killed are removed. Longer than any save takes."
  type        = number
  default     = 7
  nullable    = false

  validation {
    condition     = var.abort_incomplete_multipart_days >= 1 && floor(var.abort_incomplete_multipart_days) == var.abort_incomplete_multipart_days
    error_message = "Uploads are aborted after a whole number of days, at least 1."
  }
}

variable "soft_delete_days" {
  description = "How many days what was deleted for good can be restored. 0: not at all."
  type        = number
  default     = 7
  nullable    = false

  validation {
    # Cloud Storage documentation, "Soft delete": 0, or 7 to 90 days.
    condition     = var.soft_delete_days == 0 || (var.soft_delete_days >= 7 && var.soft_delete_days <= 90)
    error_message = "Soft delete lasts 7 to 90 days, or 0 for none."
  }
}

variable "access_log_bucket" {
  description = "Bucket that takes the usage logs; cloud-storage-analytics@google.com must be allowed to write there. Null: no logs."
  type        = string
  default     = null

  validation {
    condition     = var.access_log_bucket == null || var.access_log_bucket != var.bucket_name
    error_message = "A bucket that logs into itself logs its own logs: name another one."
  }
}

variable "force_destroy" {
  description = "Whether terraform destroy may delete a bucket that still holds models."
  type        = bool
  default     = false
  nullable    = false
}

variable "labels" {
  description = "Labels of the bucket."
  type        = map(string)
  default     = {}
  nullable    = false
}
