variable "project_id" {
  description = "Project of all that is made."
  type        = string
  nullable    = false

  validation {
    condition     = can(regex("^[a-z][a-z0-9-]{4,28}[a-z0-9]$", var.project_id))
    error_message = "A project's id has 6 to 30 lower-case letters, digits and hyphens, a letter first."
  }
}

variable "region" {
  description = "Region of bucket and service."
  type        = string
  default     = "europe-west3"
  nullable    = false

  validation {
    condition     = can(regex("^[a-z]+-[a-z]+[0-9]+$", var.region))
    error_message = "A region is named like europe-west3."
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

variable "repository_owner_id" {
  description = "Number of the repository's owner on GitHub: names can be taken over by others, numbers cannot."
  type        = number
  nullable    = false

  validation {
    condition     = var.repository_owner_id > 0 && floor(var.repository_owner_id) == var.repository_owner_id
    error_message = "The owner's number is whole and positive."
  }
}

variable "image" {
  description = "Container image of the service, by digest."
  type        = string
  nullable    = false

  validation {
    condition     = can(regex("@sha256:[0-9a-f]{64}$", var.image))
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
