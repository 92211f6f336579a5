variable "project_id" {
  description = "Project that owns the service accounts and roles."
  type        = string
  nullable    = false

  validation {
    condition     = can(regex("^[a-z][a-z0-9-]{4,28}[a-z0-9]$", var.project_id))
    error_message = "A project's id has 6 to 30 lower-case letters, digits and hyphens, a letter first."
  }
}

variable "name_prefix" {
  description = "What the names of the service accounts begin with: NAME-writer and NAME-reader."
  type        = string
  nullable    = false

  validation {
    # IAM: 6 to 30 characters for a service account's id, of which "-writer" takes 7.
    condition     = can(regex("^[a-z][a-z0-9-]{0,21}[a-z0-9]$", var.name_prefix))
    error_message = "The prefix has 2 to 23 lower-case letters, digits and hyphens, a letter first."
  }
}

variable "bucket_name" {
  description = "Bucket with the models."
  type        = string
  nullable    = false

  validation {
    condition     = can(regex("^[a-z0-9][a-z0-9._-]{1,220}[a-z0-9]$", var.bucket_name))
    error_message = "This is no name of a bucket: give the name alone, not its URL."
  }
}

variable "prefix" {
  description = "Folder of the bucket that both are confined to, such as \"models/\". Empty: the whole bucket."
  type        = string
  default     = ""
  nullable    = false

  validation {
    # It stands between quotation marks in a condition.
    condition     = var.prefix == "" || can(regex("^[^/'\"\\\\][^'\"\\\\]*/$", var.prefix))
    error_message = "The prefix ends with a slash, begins with none, and has no quotation marks or backslashes: \"models/\"."
  }
}

variable "writer_may_replace" {
  description = "Whether who writes may replace and delete the files of models. False: only manifests and aliases; models are saved with overwrite=False, or as versions of a repository."
  type        = bool
  default     = true
  nullable    = false
}

variable "writer_may_list" {
  description = "Whether who writes may list: to adopt, to prune a repository, to collect garbage."
  type        = bool
  default     = false
  nullable    = false
}

variable "reader_may_list" {
  description = "Whether who reads may list: to load what has no manifest."
  type        = bool
  default     = false
  nullable    = false
}

variable "oidc_issuer_url" {
  description = "Issuer of OpenID Connect tokens that CI or training signs in with, such as https://token.actions.githubusercontent.com. Null: no workload identity federation."
  type        = string
  default     = null

  validation {
    condition     = var.oidc_issuer_url == null || can(regex("^https://[A-Za-z0-9._/-]*[A-Za-z0-9]$", var.oidc_issuer_url))
    error_message = "The issuer is an https URL without a slash at its end."
  }
}

variable "oidc_audiences" {
  description = "Audiences (aud) that the tokens may have. Empty: the provider's own full name, which Google asks for."
  type        = list(string)
  default     = []
  nullable    = false

  validation {
    condition     = length(var.oidc_audiences) <= 10 && alltrue([for audience in var.oidc_audiences : audience != "" && length(audience) <= 256])
    error_message = "There are at most 10 audiences of at most 256 characters."
  }
}

variable "oidc_condition" {
  description = "What must hold of a token (CEL), such as assertion.repository_owner_id == '1234567'. An issuer that signs for everybody needs it. Null: only without an issuer."
  type        = string
  default     = null

  validation {
    condition     = var.oidc_issuer_url == null || can(regex("assertion\\.[a-z_]+", var.oidc_condition))
    error_message = "With an issuer there must be a condition on the token's claims (assertion.…): without it, everybody whom the issuer knows may ask."
  }
}

variable "oidc_writer_subjects" {
  description = "Subjects (sub) of tokens that may become the writer, whole, such as repo:acme/train:ref:refs/heads/main."
  type        = list(string)
  default     = []
  nullable    = false

  validation {
    # A subject's name is at most 127 bytes long in Google's mapping.
    condition     = alltrue([for subject in var.oidc_writer_subjects : can(regex("^[^*?]{1,127}$", subject))])
    error_message = "Subjects have 1 to 127 characters and no wildcards."
  }

  validation {
    condition     = length(var.oidc_writer_subjects) == 0 || var.oidc_issuer_url != null
    error_message = "Subjects need oidc_issuer_url."
  }
}

variable "oidc_reader_subjects" {
  description = "Subjects (sub) of tokens that may become the reader, whole."
  type        = list(string)
  default     = []
  nullable    = false

  validation {
    condition     = alltrue([for subject in var.oidc_reader_subjects : can(regex("^[^*?]{1,127}$", subject))])
    error_message = "Subjects have 1 to 127 characters and no wildcards."
  }

  validation {
    condition     = length(var.oidc_reader_subjects) == 0 || var.oidc_issuer_url != null
    error_message = "Subjects need oidc_issuer_url."
  }
}
