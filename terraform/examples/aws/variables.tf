variable "region" {
  description = "Region of bucket and function."
  type        = string
  default     = "eu-central-1"
  nullable    = false

  validation {
    condition     = can(regex("^[a-z]{2}(-[a-z]+)+-[0-9]$", var.region))
    error_message = "A region is named like eu-central-1."
  }
}

variable "bucket_name" {
  description = "Name of the bucket for models."
  type        = string
  nullable    = false

  validation {
    condition     = length(var.bucket_name) >= 3
    error_message = "A bucket's name has at least 3 characters."
  }
}

variable "repository" {
  description = "Repository of GitHub whose main branch saves models, as OWNER/NAME."
  type        = string
  nullable    = false

  validation {
    condition     = can(regex("^[A-Za-z0-9_.-]+/[A-Za-z0-9_.-]+$", var.repository))
    error_message = "A repository is named OWNER/NAME."
  }
}

variable "image_uri" {
  description = "Container image of the function in ECR, by digest."
  type        = string
  nullable    = false

  validation {
    condition     = can(regex("@sha256:[0-9a-f]{64}$", var.image_uri))
    error_message = "The image is named by its digest."
  }
}

variable "manifest_digest" {
  description = "Digest of the model's manifest, as saving it returned: what is deployed."
  type        = string
  nullable    = false

  validation {
    condition     = can(regex("^sha256:[0-9a-f]{64}$", var.manifest_digest))
    error_message = "A digest is sha256: and 64 hexadecimal digits."
  }
}
