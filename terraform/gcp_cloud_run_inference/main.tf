locals {
  environment = merge(
    # Loading by a digest needs no other trust in the bucket.
    { for digest in compact([var.manifest_digest]) : "REMOTE_MODELS_MANIFEST_DIGEST" => digest },
    { for alias in compact([var.model_alias]) : "REMOTE_MODELS_ALIAS" => alias },
    { for seconds in var.refresh_seconds[*] : "REMOTE_MODELS_REFRESH" => tostring(seconds) },
    {
      # The disk is memory here: a copy of the model there would take it twice.
      REMOTE_MODELS_CACHE   = "off"
      REMOTE_MODELS_URL     = var.model_url
      REMOTE_MODELS_RUNTIME = var.runtime
    },
    var.environment,
  )

  of_the_service = "resource.type = \"cloud_run_revision\" AND resource.labels.service_name = \"${var.name}\""

  alarms = {
    errors = {
      filter    = "${local.of_the_service} AND metric.type = \"run.googleapis.com/request_count\" AND metric.labels.response_code_class = \"5xx\""
      aligner   = "ALIGN_DELTA"
      reducer   = "REDUCE_SUM"
      threshold = 0
    }
    latency = {
      filter    = "${local.of_the_service} AND metric.type = \"run.googleapis.com/request_latencies\""
      aligner   = "ALIGN_DELTA"
      reducer   = "REDUCE_PERCENTILE_99"
      threshold = var.alarm_latency_ms
    }
  }
}

resource "google_cloud_run_v2_service" "this" {
  project             = var.project_id
  location            = var.region
  name                = var.name
  description         = "Serves ${var.model_url}."
  ingress             = var.ingress
  deletion_protection = var.deletion_protection
  labels              = var.labels

  template {
    service_account                  = var.service_account_email
    execution_environment            = "EXECUTION_ENVIRONMENT_GEN2"
    timeout                          = "${var.timeout_seconds}s"
    max_instance_request_concurrency = var.requests_per_instance

    scaling {
      min_instance_count = var.min_instances
      max_instance_count = var.max_instances
    }

    containers {
      image = var.image

      ports {
        container_port = 8080
      }

      resources {
        # Paid for while it answers, not while it waits.
        cpu_idle          = true
        startup_cpu_boost = var.startup_cpu_boost
        limits            = { cpu = tostring(var.cpu), memory = "${var.memory_mib}Mi" }
      }

      dynamic "env" {
        for_each = local.environment

        content {
          name  = env.key
          value = env.value
        }
      }

      startup_probe {
        period_seconds    = 1
        timeout_seconds   = 1
        failure_threshold = var.startup_seconds

        http_get {
          path = var.ready_path
        }
      }

      liveness_probe {
        period_seconds    = 10
        timeout_seconds   = 5
        failure_threshold = 3

        http_get {
          path = var.health_path
        }
      }

      dynamic "volume_mounts" {
        for_each = var.scratch_mib > 0 ? ["scratch"] : []

        content {
          name       = volume_mounts.value
          mount_path = "/tmp"
        }
      }
    }

    dynamic "volumes" {
      for_each = var.scratch_mib > 0 ? ["scratch"] : []

      content {
        name = volumes.value

        empty_dir {
          medium     = "MEMORY"
          size_limit = "${var.scratch_mib}Mi"
        }
      }
    }
  }
}

resource "google_cloud_run_v2_service_iam_member" "invoker" {
  for_each = toset(var.invokers)

  project  = var.project_id
  location = var.region
  name     = google_cloud_run_v2_service.this.name
  role     = "roles/run.invoker"
  member   = each.key
}

resource "google_logging_project_bucket_config" "this" {
  project        = var.project_id
  location       = var.region
  bucket_id      = var.name
  description    = "Logs of the service ${var.name}."
  retention_days = var.log_retention_days
}

# A bucket of the same project needs no right for the sink.
resource "google_logging_project_sink" "this" {
  project                = var.project_id
  name                   = var.name
  description            = "Logs of the service ${var.name}."
  destination            = "logging.googleapis.com/${google_logging_project_bucket_config.this.id}"
  filter                 = "${local.of_the_service} AND resource.labels.location = \"${var.region}\""
  unique_writer_identity = true
}

resource "google_monitoring_alert_policy" "this" {
  for_each = local.alarms

  project               = var.project_id
  display_name          = "${var.name} ${each.key}"
  combiner              = "OR"
  notification_channels = var.notification_channels
  user_labels           = var.labels

  conditions {
    display_name = each.key

    condition_threshold {
      filter          = each.value.filter
      comparison      = "COMPARISON_GT"
      threshold_value = each.value.threshold
      duration        = "0s"

      aggregations {
        alignment_period     = "300s"
        per_series_aligner   = each.value.aligner
        cross_series_reducer = each.value.reducer
      }
    }
  }

  # Its metrics are known once the service is there.
  depends_on = [google_cloud_run_v2_service.this]
}
