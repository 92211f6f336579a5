variable "name_prefix" {
  description = "What the names of the roles begin with: NAME-writer and NAME-reader."
  type        = string
  nullable    = false

  validation {
    # IAM: 64 characters for a role's name, of which "-writer" takes 7.
    condition     = can(regex("^[A-Za-z0-9+=,.@_-]{1,57}$", var.name_prefix))
    error_message = "The names of roles have letters, digits and +=,.@_- and at most 64 characters, of which 7 are taken."
  }
}

variable "bucket_name" {
  description = "Bucket with the models."
  type        = string
  nullable    = false

  validation {
    condition     = can(regex("^[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]$", var.bucket_name))
    error_message = "This is no name of a bucket: give the name alone, not its ARN or URL."
  }
}

variable "prefix" {
  description = "Folder of the bucket that the roles are confined to, such as \"models/\". Empty: the whole bucket."
  type        = string
  default     = ""
  nullable    = false

  validation {
    condition     = var.prefix == "" || can(regex("^[^/*?$][^*?$]*/$", var.prefix))
    error_message = "The prefix ends with a slash, begins with none, and has no wildcards: \"models/\"."
  }
}

variable "kms_key_arn" {
  description = "Key of AWS KMS that encrypts the bucket. Null: it is encrypted with S3's own keys."
  type        = string
  default     = null

  validation {
    condition     = var.kms_key_arn == null || can(regex("^arn:aws[a-z-]*:kms:[a-z0-9-]+:[0-9]{12}:key/[A-Za-z0-9-]+$", var.kms_key_arn))
    error_message = "The key must be given by its ARN, arn:aws:kms:REGION:ACCOUNT:key/ID."
  }
}

variable "writer_may_list" {
  description = "Whether who writes may list: to adopt, to prune a repository, to collect garbage."
  type        = bool
  default     = false
  nullable    = false
}

variable "reader_may_list" {
  description = "Whether who reads may list: to load what has no manifest, to name files that belong to no model."
  type        = bool
  default     = false
  nullable    = false
}

variable "writer_services" {
  description = "Services of AWS that train, such as ec2.amazonaws.com or sagemaker.amazonaws.com."
  type        = list(string)
  default     = []
  nullable    = false

  validation {
    condition     = alltrue([for service in var.writer_services : can(regex("^[a-z0-9.-]+\\.amazonaws\\.com$", service))])
    error_message = "Services are named like ec2.amazonaws.com."
  }
}

variable "reader_services" {
  description = "Services of AWS that run inference, such as ecs-tasks.amazonaws.com."
  type        = list(string)
  default     = []
  nullable    = false

  validation {
    condition     = alltrue([for service in var.reader_services : can(regex("^[a-z0-9.-]+\\.amazonaws\\.com$", service))])
    error_message = "Services are named like ecs-tasks.amazonaws.com."
  }
}

variable "writer_principal_arns" {
  description = "Roles and users of AWS that may become the writer."
  type        = list(string)
  default     = []
  nullable    = false

  validation {
    condition     = alltrue([for arn in var.writer_principal_arns : can(regex("^arn:aws[a-z-]*:iam::[0-9]{12}:(role|user)/[^*?]+$", arn))])
    error_message = "Principals are named by the ARN of one role or user each, without wildcards."
  }
}

variable "reader_principal_arns" {
  description = "Roles and users of AWS that may become the reader."
  type        = list(string)
  default     = []
  nullable    = false

  validation {
    condition     = alltrue([for arn in var.reader_principal_arns : can(regex("^arn:aws[a-z-]*:iam::[0-9]{12}:(role|user)/[^*?]+$", arn))])
    error_message = "Principals are named by the ARN of one role or user each, without wildcards."
  }
}

variable "oidc_issuer_url" {
  description = "Issuer of OpenID Connect tokens that CI or a cluster signs in with, such as https://token.actions.githubusercontent.com. Null: none."
  type        = string
  default     = null

  validation {
    condition     = var.oidc_issuer_url == null || can(regex("^https://[A-Za-z0-9._/-]*[A-Za-z0-9]$", var.oidc_issuer_url))
    error_message = "The issuer is an https URL without a slash at its end."
  }
}

variable "oidc_provider_arn" {
  description = "The account's OIDC provider for the issuer, of which there can be but one. Null: it is made here."
  type        = string
  default     = null

  validation {
    condition     = var.oidc_provider_arn == null || can(regex("^arn:aws[a-z-]*:iam::[0-9]{12}:oidc-provider/.+$", var.oidc_provider_arn))
    error_message = "This is no ARN of an OIDC provider, arn:aws:iam::ACCOUNT:oidc-provider/HOST."
  }

  validation {
    condition     = var.oidc_provider_arn == null || var.oidc_issuer_url != null
    error_message = "A provider needs oidc_issuer_url too: the conditions on its tokens are named after it."
  }
}

variable "oidc_audience" {
  description = "Audience (aud) that the tokens must have."
  type        = string
  default     = "sts.amazonaws.com"
  nullable    = false

  validation {
    condition     = can(regex("^[^*?]+$", var.oidc_audience))
    error_message = "The audience is compared as it is: give it whole."
  }
}

variable "oidc_writer_subjects" {
  description = "Subjects (sub) of tokens that may become the writer, such as repo:acme/train:ref:refs/heads/main. * stands for any text, from the third part on."
  type        = list(string)
  default     = []
  nullable    = false

  validation {
    # A wildcard before the repository's name would let strangers in.
    condition     = alltrue([for subject in var.oidc_writer_subjects : can(regex("^[^:*?]+:[^:*?]+:.+$", subject))])
    error_message = "A subject has at least three parts with colons between, and no wildcard in the first two: repo:OWNER/NAME:…"
  }

  validation {
    condition     = length(var.oidc_writer_subjects) == 0 || var.oidc_issuer_url != null
    error_message = "Subjects need oidc_issuer_url."
  }
}

variable "oidc_reader_subjects" {
  description = "Subjects (sub) of tokens that may become the reader."
  type        = list(string)
  default     = []
  nullable    = false

  validation {
    condition     = alltrue([for subject in var.oidc_reader_subjects : can(regex("^[^:*?]+:[^:*?]+:.+$", subject))])
    error_message = "A subject has at least three parts with colons between, and no wildcard in the first two: repo:OWNER/NAME:…"
  }

  validation {
    condition     = length(var.oidc_reader_subjects) == 0 || var.oidc_issuer_url != null
    error_message = "Subjects need oidc_issuer_url."
  }
}

variable "max_session_seconds" {
  description = "How long a session as writer or reader may last; the longest save or training must fit."
  type        = number
  default     = 3600
  nullable    = false

  validation {
    condition     = var.max_session_seconds >= 3600 && var.max_session_seconds <= 43200
    error_message = "IAM allows sessions of 1 to 12 hours (3600 to 43200 seconds)."
  }
}

variable "tags" {
  description = "Tags of the roles."
  type        = map(string)
  default     = {}
  nullable    = false
}
