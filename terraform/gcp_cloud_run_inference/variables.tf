variable "project_id" {
  description = "Project that owns the service."
  type        = string
  nullable    = false

  validation {
    condition     = can(regex("^[a-z][a-z0-9-]{4,28}[a-z0-9]$", var.project_id))
    error_message = "A project's id has 6 to 30 lower-case letters, digits and hyphens, a letter first."
  }
}

variable "region" {
  description = "Region of the service: the bucket's."
  type        = string
  nullable    = false

  validation {
    condition     = can(regex("^[a-z]+-[a-z]+[0-9]+$", var.region))
    error_message = "A region is named like europe-west3."
  }
}

variable "name" {
  description = "Name of the service and of what belongs to it."
  type        = string
  nullable    = false

  validation {
    condition     = can(regex("^[a-z]([a-z0-9-]{0,47}[a-z0-9])?$", var.name))
    error_message = "A service's name has 1 to 49 lower-case letters, digits and hyphens, a letter first."
  }
}

variable "image" {
  description = "Container image, by digest."
  type        = string
  nullable    = false

  validation {
    condition     = can(regex("^[a-z0-9.-]+/[^@]+@sha256:[0-9a-f]{64}$", var.image))
    error_message = "The image is named by its digest, REGION-docker.pkg.dev/PROJECT/REPOSITORY/NAME@sha256:…: a tag may come to mean another image."
  }
}

variable "service_account_email" {
  description = "Service account that the service has: reader_email of the module gcp_access."
  type        = string
  nullable    = false

  validation {
    condition     = can(regex("^[a-z0-9-]+@[a-z0-9.:-]+\\.iam\\.gserviceaccount\\.com$", var.service_account_email))
    error_message = "This is no service account made for the purpose: the default ones have too many rights."
  }
}

variable "model_url" {
  description = "Model to serve: gs://BUCKET/PATH, or a repository of its versions."
  type        = string
  nullable    = false

  validation {
    condition     = can(regex("^gs://[a-z0-9][a-z0-9._-]+/.+[^/]$", var.model_url))
    error_message = "The model is named by gs://BUCKET/PATH, without a slash at its end."
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

variable "cpu" {
  description = "Processors of an instance."
  type        = number
  default     = 1
  nullable    = false

  validation {
    condition     = contains([1, 2, 4, 6, 8], var.cpu)
    error_message = "An instance has 1, 2, 4, 6 or 8 processors."
  }
}

variable "memory_mib" {
  description = "Memory of an instance in MiB. What is written to its disk is in there too."
  type        = number
  default     = 1024
  nullable    = false

  validation {
    # Cloud Run documentation, "Configure memory limits": 512 MiB for the second generation.
    condition     = var.memory_mib >= 512 && var.memory_mib <= 32768 && floor(var.memory_mib) == var.memory_mib
    error_message = "An instance has 512 to 32768 MiB of memory."
  }

  validation {
    condition     = var.memory_mib <= lookup({ 1 = 4096, 2 = 8192, 4 = 16384, 6 = 24576, 8 = 32768 }, var.cpu, 0)
    error_message = "Each processor goes with at most 4096 MiB."
  }
}

variable "scratch_mib" {
  description = "Room in /tmp in MiB, taken from the memory. Models are loaded into memory and need none, unless the runtime is keras or tensorflow. 0: no limit but the memory."
  type        = number
  default     = 0
  nullable    = false

  validation {
    condition     = var.scratch_mib >= 0 && var.scratch_mib < var.memory_mib
    error_message = "The room in /tmp is part of the memory."
  }
}

variable "startup_cpu_boost" {
  description = "Whether an instance gets more processors while it starts."
  type        = bool
  default     = true
  nullable    = false
}

variable "min_instances" {
  description = "How many instances are kept warm."
  type        = number
  default     = 0
  nullable    = false

  validation {
    condition     = var.min_instances >= 0 && floor(var.min_instances) == var.min_instances
    error_message = "The number of instances is whole and not negative."
  }
}

variable "max_instances" {
  description = "How many instances may run at once, which bounds the bill."
  type        = number
  default     = 10
  nullable    = false

  validation {
    condition     = var.max_instances >= max(1, var.min_instances)
    error_message = "At least one instance must be allowed, and as many as are kept warm."
  }
}

variable "requests_per_instance" {
  description = "How many requests an instance answers at once."
  type        = number
  default     = 16
  nullable    = false

  validation {
    condition     = var.requests_per_instance >= 1 && var.requests_per_instance <= 1000
    error_message = "An instance answers 1 to 1000 requests at once."
  }
}

variable "timeout_seconds" {
  description = "How long one request may take."
  type        = number
  default     = 60
  nullable    = false

  validation {
    condition     = var.timeout_seconds >= 1 && var.timeout_seconds <= 3600
    error_message = "A request lasts 1 to 3600 seconds."
  }
}

variable "startup_seconds" {
  description = "How long an instance may take until its model is loaded."
  type        = number
  default     = 60
  nullable    = false

  validation {
    condition     = var.startup_seconds >= 1 && var.startup_seconds <= 240
    error_message = "Cloud Run waits 1 to 240 seconds for an instance to start."
  }
}

variable "ready_path" {
  description = "Path that answers 200 once the model is loaded."
  type        = string
  default     = "/ready"
  nullable    = false

  validation {
    condition     = startswith(var.ready_path, "/")
    error_message = "A path begins with a slash."
  }
}

variable "health_path" {
  description = "Path that answers 200 while the server lives."
  type        = string
  default     = "/health"
  nullable    = false

  validation {
    condition     = startswith(var.health_path, "/")
    error_message = "A path begins with a slash."
  }
}

variable "ingress" {
  description = "Where requests may come from: INGRESS_TRAFFIC_INTERNAL_ONLY, INGRESS_TRAFFIC_INTERNAL_LOAD_BALANCER or INGRESS_TRAFFIC_ALL."
  type        = string
  default     = "INGRESS_TRAFFIC_INTERNAL_ONLY"
  nullable    = false

  validation {
    condition     = contains(["INGRESS_TRAFFIC_ALL", "INGRESS_TRAFFIC_INTERNAL_ONLY", "INGRESS_TRAFFIC_INTERNAL_LOAD_BALANCER"], var.ingress)
    error_message = "The ingress is INGRESS_TRAFFIC_ALL, INGRESS_TRAFFIC_INTERNAL_ONLY or INGRESS_TRAFFIC_INTERNAL_LOAD_BALANCER."
  }
}

variable "invokers" {
  description = "Who may call the service, such as serviceAccount:web@PROJECT.iam.gserviceaccount.com."
  type        = list(string)
  default     = []
  nullable    = false

  validation {
    condition     = alltrue([for member in var.invokers : can(regex("^(user|serviceAccount|group|domain|principal|principalSet):.+$", member))])
    error_message = "Callers are named like serviceAccount:NAME@PROJECT.iam.gserviceaccount.com, and never allUsers."
  }
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

variable "log_retention_days" {
  description = "How many days the service's logs are kept in a log bucket of their own."
  type        = number
  default     = 30
  nullable    = false

  validation {
    condition     = var.log_retention_days >= 1 && var.log_retention_days <= 3650
    error_message = "Cloud Logging keeps logs for 1 to 3650 days."
  }
}

variable "notification_channels" {
  description = "Channels of Cloud Monitoring that are told of alarms."
  type        = list(string)
  default     = []
  nullable    = false

  validation {
    condition     = alltrue([for channel in var.notification_channels : can(regex("^projects/[^/]+/notificationChannels/[^/]+$", channel))])
    error_message = "A channel is named projects/PROJECT/notificationChannels/ID."
  }
}

variable "alarm_latency_ms" {
  description = "From how many milliseconds on the slowest hundredth of the requests raises an alarm."
  type        = number
  default     = 3000
  nullable    = false

  validation {
    condition     = var.alarm_latency_ms > 0 && var.alarm_latency_ms < var.timeout_seconds * 1000
    error_message = "The alarm comes before the timeout."
  }
}

variable "deletion_protection" {
  description = "Whether terraform destroy leaves the service alone."
  type        = bool
  default     = true
  nullable    = false
}

variable "labels" {
  description = "Labels of the service."
  type        = map(string)
  default     = {}
  nullable    = false
}
