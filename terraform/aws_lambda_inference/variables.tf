variable "name" {
  description = "Name of the function and of what belongs to it."
  type        = string
  nullable    = false

  validation {
    # Lambda allows 64 characters; so does IAM for the role, which is named alike.
    condition     = can(regex("^[A-Za-z0-9_-]{1,64}$", var.name))
    error_message = "A function's name has 1 to 64 letters, digits, hyphens and underscores."
  }
}

variable "model_url" {
  description = "Model to serve: s3://BUCKET/PATH, or a repository of its versions."
  type        = string
  nullable    = false

  validation {
    condition     = can(regex("^s3://[a-z0-9][a-z0-9.-]+/.+[^/]$", var.model_url))
    error_message = "The model is named by s3://BUCKET/PATH, without a slash at its end."
  }
}

variable "manifest_digest" {
  description = "Digest of the model's manifest: no other model is served, whoever can write the bucket. Null: what the URL leads to."
  type        = string
  default     = null

  validation {
    condition     = var.manifest_digest == null || can(regex("^sha256:[0-9a-f]{64}$", var.manifest_digest))
    error_message = "A digest is sha256: and 64 hexadecimal digits, as save_model returns it."
  }
}

variable "model_policy_json" {
  description = "What the function may do with the bucket: reader_policy_json of the module aws_access."
  type        = string
  nullable    = false

  validation {
    condition     = can(jsondecode(var.model_policy_json).Statement[0].Action)
    error_message = "This is no policy of IAM in JSON."
  }

  validation {
    condition = try(length(setintersection(
      flatten([for statement in jsondecode(var.model_policy_json).Statement : statement.Action]),
      ["*", "s3:*", "s3:PutObject", "s3:DeleteObject"],
    )) == 0, true)
    error_message = "A function that answers requests writes no models: give it the reader's policy."
  }
}

variable "model_alias" {
  description = "Alias of the repository at model_url whose version is served. Null: latest, if model_url is a repository."
  type        = string
  default     = null

  validation {
    condition     = var.model_alias == null || can(regex("^[A-Za-z][A-Za-z0-9._-]{0,62}$", var.model_alias))
    error_message = "An alias is a letter, and at most 62 letters, digits, dots, underscores and hyphens after it."
  }
}

variable "refresh_seconds" {
  description = "After how many seconds a request looks for another version first. Null: an instance serves the version with which it started."
  type        = number
  default     = null

  validation {
    condition     = var.refresh_seconds == null || try(var.refresh_seconds > 0, false)
    error_message = "Another version is looked for after more than 0 seconds."
  }

  validation {
    condition     = var.refresh_seconds == null || var.manifest_digest == null
    error_message = "What is pinned by manifest_digest never changes: leave refresh_seconds out."
  }
}

variable "runtime" {
  description = "What runs the model: auto, litert, onnx, keras or tensorflow."
  type        = string
  default     = "auto"
  nullable    = false

  validation {
    condition     = contains(["auto", "litert", "onnx", "keras", "tensorflow"], var.runtime)
    error_message = "The runtime is auto, litert, onnx, keras or tensorflow."
  }
}

variable "image_uri" {
  description = "Container image in ECR, by digest. Null: a zip is deployed."
  type        = string
  default     = null

  validation {
    condition     = var.image_uri == null || can(regex("^[0-9]{12}\\.dkr\\.ecr\\.[a-z0-9-]+\\.amazonaws\\.com(\\.cn)?/[^:@]+@sha256:[0-9a-f]{64}$", var.image_uri))
    error_message = "The image is named by its digest, ACCOUNT.dkr.ecr.REGION.amazonaws.com/NAME@sha256:…: a tag may come to mean another image."
  }

  validation {
    condition     = (var.image_uri == null) != (var.zip_path == null)
    error_message = "Give image_uri or zip_path, one of the two."
  }
}

variable "zip_path" {
  description = "Zip of handler and packages on this machine (at most 50 MB; 250 MB unpacked). Null: an image is deployed."
  type        = string
  default     = null

  validation {
    condition     = var.zip_path == null || can(regex("\\.zip$", var.zip_path))
    error_message = "The path ends with .zip."
  }
}

variable "zip_handler" {
  description = "Function in the zip that is called, as MODULE.NAME."
  type        = string
  default     = "handler.handler"
  nullable    = false

  validation {
    condition     = can(regex("^[A-Za-z0-9_./-]+\\.[A-Za-z0-9_]+$", var.zip_handler))
    error_message = "The handler is named MODULE.NAME."
  }
}

variable "zip_python" {
  description = "Version of Python that the zip's packages were installed for."
  type        = string
  default     = "3.12"
  nullable    = false

  validation {
    condition     = contains(["3.11", "3.12", "3.13", "3.14"], var.zip_python)
    error_message = "Python is 3.11, 3.12, 3.13 or 3.14."
  }
}

variable "architecture" {
  description = "Processor: arm64 or x86_64, the one that packages or image were made for."
  type        = string
  default     = "arm64"
  nullable    = false

  validation {
    condition     = contains(["arm64", "x86_64"], var.architecture)
    error_message = "The architecture is arm64 or x86_64."
  }
}

variable "memory_mb" {
  description = "Memory in MB. With it comes the processor: 1,769 MB are one of it."
  type        = number
  default     = 1769
  nullable    = false

  validation {
    condition     = var.memory_mb >= 128 && var.memory_mb <= 10240 && floor(var.memory_mb) == var.memory_mb
    error_message = "Lambda has 128 to 10240 MB of memory."
  }
}

variable "ephemeral_storage_mb" {
  description = "Room in /tmp in MB. Models are loaded into memory and need none of it, unless the runtime is keras or tensorflow."
  type        = number
  default     = 512
  nullable    = false

  validation {
    condition     = var.ephemeral_storage_mb >= 512 && var.ephemeral_storage_mb <= 10240
    error_message = "Lambda has 512 to 10240 MB in /tmp."
  }
}

variable "timeout_seconds" {
  description = "How long one request may take, a cold start included."
  type        = number
  default     = 30
  nullable    = false

  validation {
    condition     = var.timeout_seconds >= 1 && var.timeout_seconds <= 900
    error_message = "A request lasts 1 to 900 seconds."
  }
}

variable "snap_start" {
  description = "Whether functions start from a snapshot in which the model is loaded."
  type        = bool
  default     = false
  nullable    = false

  validation {
    # Lambda Developer Guide, "Improving startup performance with Lambda SnapStart".
    condition     = !var.snap_start || (var.zip_path != null && var.zip_python != "3.11" && var.ephemeral_storage_mb == 512)
    error_message = "SnapStart is for zips with Python 3.12 or later and 512 MB of ephemeral storage."
  }
}

variable "provisioned_concurrency" {
  description = "How many functions are kept warm. 0: none."
  type        = number
  default     = 0
  nullable    = false

  validation {
    condition     = var.provisioned_concurrency >= 0 && floor(var.provisioned_concurrency) == var.provisioned_concurrency
    error_message = "The number of functions is whole and not negative."
  }

  validation {
    condition     = var.provisioned_concurrency == 0 || !var.snap_start
    error_message = "Lambda takes SnapStart or provisioned concurrency, one of the two."
  }
}

variable "reserved_concurrency" {
  description = "How many functions may run at once, which bounds the bill. -1: as many as the account has."
  type        = number
  default     = 100
  nullable    = false

  validation {
    condition     = var.reserved_concurrency == -1 || var.reserved_concurrency >= max(1, var.provisioned_concurrency)
    error_message = "At least one function must be allowed, and as many as are kept warm; or -1."
  }
}

variable "function_url" {
  description = "Whether the function has a URL of its own, for callers who sign as somebody of AWS with lambda:InvokeFunctionUrl."
  type        = bool
  default     = false
  nullable    = false
}

variable "environment" {
  description = "More environment variables."
  type        = map(string)
  default     = {}
  nullable    = false

  validation {
    condition = length(setintersection(keys(var.environment), [
      "REMOTE_MODELS_URL", "REMOTE_MODELS_ALIAS", "REMOTE_MODELS_MANIFEST_DIGEST",
      "REMOTE_MODELS_REFRESH", "REMOTE_MODELS_RUNTIME",
    ])) == 0
    error_message = "Model, alias, digest, seconds and runtime have variables of their own."
  }
}

variable "kms_key_arn" {
  description = "Key of AWS KMS for the logs and the environment variables; its policy must let the service logs use it. Null: AWS' own."
  type        = string
  default     = null

  validation {
    condition     = var.kms_key_arn == null || can(regex("^arn:aws[a-z-]*:kms:[a-z0-9-]+:[0-9]{12}:key/[A-Za-z0-9-]+$", var.kms_key_arn))
    error_message = "The key must be given by its ARN, arn:aws:kms:REGION:ACCOUNT:key/ID."
  }
}

variable "log_retention_days" {
  description = "How many days the logs are kept."
  type        = number
  default     = 30
  nullable    = false

  validation {
    # PutRetentionPolicy of CloudWatch Logs.
    condition     = contains([1, 3, 5, 7, 14, 30, 60, 90, 120, 150, 180, 365, 400, 545, 731, 1096, 1827, 2192, 2557, 2922, 3288, 3653], var.log_retention_days)
    error_message = "CloudWatch keeps logs for 1, 3, 5, 7, 14, 30, 60, 90, 120, 150, 180, 365, 400, 545, 731, 1096, 1827, 2192, 2557, 2922, 3288 or 3653 days."
  }
}

variable "alarm_actions" {
  description = "Topics of SNS that are told of alarms."
  type        = list(string)
  default     = []
  nullable    = false

  validation {
    condition     = alltrue([for arn in var.alarm_actions : can(regex("^arn:aws[a-z-]*:[a-z0-9-]+:", arn))])
    error_message = "Each action is an ARN."
  }
}

variable "alarm_duration_ms" {
  description = "From how many milliseconds on the slowest hundredth of the requests raises an alarm."
  type        = number
  default     = 3000
  nullable    = false

  validation {
    condition     = var.alarm_duration_ms > 0 && var.alarm_duration_ms < var.timeout_seconds * 1000
    error_message = "The alarm comes before the timeout."
  }
}

variable "tags" {
  description = "Tags of all that is made."
  type        = map(string)
  default     = {}
  nullable    = false
}
