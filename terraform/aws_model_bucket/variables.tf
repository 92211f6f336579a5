variable "bucket_name" {
  description = "Name of the bucket."
  type        = string
  nullable    = false

  validation {
    # Amazon S3 User Guide, "General purpose bucket naming rules"; no dots, for TLS.
    condition     = can(regex("^[a-z0-9][a-z0-9-]{1,61}[a-z0-9]$", var.bucket_name))
    error_message = "A bucket's name has 3 to 63 characters: lower-case letters, digits and hyphens, with a letter or digit at both ends."
  }
}

variable "kms_key_arn" {
  description = "Key of AWS KMS that encrypts the models (SSE-KMS). Null: S3's own keys (SSE-S3)."
  type        = string
  default     = null

  validation {
    condition     = var.kms_key_arn == null || can(regex("^arn:aws[a-z-]*:kms:[a-z0-9-]+:[0-9]{12}:key/[A-Za-z0-9-]+$", var.kms_key_arn))
    error_message = "The key must be given by its ARN, arn:aws:kms:REGION:ACCOUNT:key/ID: an alias may come to mean another key."
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
    # PutBucketLifecycleConfiguration, NewerNoncurrentVersions.
    condition     = var.noncurrent_versions_kept >= 1 && var.noncurrent_versions_kept <= 100 && floor(var.noncurrent_versions_kept) == var.noncurrent_versions_kept
    error_message = "S3 keeps 1 to 100 newer versions."
  }
}

variable "abort_incomplete_multipart_days" {
  description = "After how many days the parts of a save that was killed are removed. Longer than any save takes."
  type        = number
  default     = 7
  nullable    = false

  validation {
    condition     = var.abort_incomplete_multipart_days >= 1 && floor(var.abort_incomplete_multipart_days) == var.abort_incomplete_multipart_days
    error_message = "Uploads are aborted after a whole number of days, at least 1."
  }
}

variable "write_once_prefixes" {
  description = "Prefixes below which no model is replaced in place: S3 takes its files with If-None-Match only. Save there with overwrite=False, or versions of a repository."
  type        = list(string)
  default     = []
  nullable    = false

  validation {
    condition     = alltrue([for prefix in var.write_once_prefixes : can(regex("^[^/*?$][^*?$]*/$", prefix))])
    error_message = "A prefix ends with a slash, begins with none, and has no wildcards: \"releases/\"."
  }
}

variable "access_log_bucket" {
  description = "Bucket that takes the server access logs; it must let logging.s3.amazonaws.com write. Null: no logs."
  type        = string
  default     = null

  validation {
    condition     = var.access_log_bucket == null || var.access_log_bucket != var.bucket_name
    error_message = "A bucket that logs into itself logs its own logs: name another one."
  }
}

variable "access_log_prefix" {
  description = "What the names of access logs begin with. Null: the bucket's name and a slash."
  type        = string
  default     = null

  validation {
    condition     = var.access_log_prefix == null || can(regex("^[^/].*/$", var.access_log_prefix))
    error_message = "The prefix of the logs ends with a slash and begins with none."
  }
}

variable "force_destroy" {
  description = "Whether terraform destroy may delete a bucket that still holds models."
  type        = bool
  default     = false
  nullable    = false
}

variable "tags" {
  description = "Tags of the bucket."
  type        = map(string)
  default     = {}
  nullable    = false
}
