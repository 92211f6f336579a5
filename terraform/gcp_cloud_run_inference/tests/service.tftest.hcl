mock_provider "google" {
  mock_resource "google_logging_project_bucket_config" {
    defaults = { id = "projects/a-project/locations/europe-west3/buckets/digits" }
  }
}

variables {
  project_id            = "a-project"
  region                = "europe-west3"
  name                  = "digits"
  image                 = "europe-west3-docker.pkg.dev/a-project/models/digits@sha256:0000000000000000000000000000000000000000000000000000000000000000"
  service_account_email = "models-reader@a-project.iam.gserviceaccount.com"
  model_url             = "gs://models-of-a-team/models/digits"
}

run "pinned_and_closed" {
  variables {
    manifest_digest = "sha256:1111111111111111111111111111111111111111111111111111111111111111"
    runtime         = "onnx"
    environment     = { LOG_LEVEL = "info" }
  }

  assert {
    condition = { for variable in google_cloud_run_v2_service.this.template[0].containers[0].env : variable.name => variable.value } == {
      LOG_LEVEL                     = "info"
      REMOTE_MODELS_CACHE           = "off"
      REMOTE_MODELS_MANIFEST_DIGEST = "sha256:1111111111111111111111111111111111111111111111111111111111111111"
      REMOTE_MODELS_RUNTIME         = "onnx"
      REMOTE_MODELS_URL             = "gs://models-of-a-team/models/digits"
    }
    error_message = "The service serves another model."
  }

  assert {
    condition     = google_cloud_run_v2_service.this.ingress == "INGRESS_TRAFFIC_INTERNAL_ONLY" && length(google_cloud_run_v2_service_iam_member.invoker) == 0
    error_message = "Strangers may call the service."
  }

  assert {
    condition     = google_cloud_run_v2_service.this.template[0].service_account == "models-reader@a-project.iam.gserviceaccount.com"
    error_message = "The service has other rights."
  }

  assert {
    condition     = google_cloud_run_v2_service.this.deletion_protection
    error_message = "The service may be destroyed."
  }
}

run "size_and_start" {
  variables {
    cpu                   = 2
    memory_mib            = 2048
    scratch_mib           = 256
    min_instances         = 1
    max_instances         = 3
    startup_seconds       = 20
    requests_per_instance = 4
  }

  assert {
    condition     = google_cloud_run_v2_service.this.template[0].containers[0].resources[0].limits == tomap({ cpu = "2", memory = "2048Mi" })
    error_message = "Instances have another size."
  }

  assert {
    condition     = google_cloud_run_v2_service.this.template[0].containers[0].resources[0].startup_cpu_boost
    error_message = "Instances start slower than they could."
  }

  assert {
    condition     = google_cloud_run_v2_service.this.template[0].containers[0].startup_probe[0].failure_threshold == 20
    error_message = "Instances have another time to start."
  }

  assert {
    condition = (
      google_cloud_run_v2_service.this.template[0].volumes[0].empty_dir[0].size_limit == "256Mi"
      && google_cloud_run_v2_service.this.template[0].containers[0].volume_mounts[0].mount_path == "/tmp"
    )
    error_message = "There is other room in /tmp."
  }

  assert {
    condition     = google_cloud_run_v2_service.this.template[0].scaling[0].min_instance_count == 1 && google_cloud_run_v2_service.this.template[0].scaling[0].max_instance_count == 3
    error_message = "Other numbers of instances run."
  }
}

run "called_and_watched" {
  variables {
    invokers              = ["serviceAccount:web@a-project.iam.gserviceaccount.com"]
    notification_channels = ["projects/a-project/notificationChannels/1"]
    alarm_latency_ms      = 1500
    log_retention_days    = 14
  }

  assert {
    condition     = google_cloud_run_v2_service_iam_member.invoker["serviceAccount:web@a-project.iam.gserviceaccount.com"].role == "roles/run.invoker"
    error_message = "The caller is turned away."
  }

  assert {
    condition     = google_monitoring_alert_policy.this["latency"].conditions[0].condition_threshold[0].threshold_value == 1500
    error_message = "Slow requests raise no alarm."
  }

  assert {
    condition     = alltrue([for policy in google_monitoring_alert_policy.this : policy.notification_channels == tolist(["projects/a-project/notificationChannels/1"])])
    error_message = "Nobody is told."
  }

  assert {
    condition = (
      google_logging_project_bucket_config.this.retention_days == 14
      && google_logging_project_sink.this.destination == "logging.googleapis.com/projects/a-project/locations/europe-west3/buckets/digits"
    )
    error_message = "The logs go elsewhere, or stay for another time."
  }
}

run "refuses_bad_values" {
  command = plan

  variables {
    project_id            = "A"
    region                = "Europe"
    name                  = "Digits"
    image                 = "europe-west3-docker.pkg.dev/a-project/models/digits:latest"
    service_account_email = "123456-compute@developer.gserviceaccount.com"
    model_url             = "s3://models/digits"
    manifest_digest       = "sha256:ABC"
    model_alias           = "1"
    runtime               = "torch"
    cpu                   = 3
    min_instances         = -1
    requests_per_instance = 0
    timeout_seconds       = 0
    startup_seconds       = 300
    ready_path            = "ready"
    health_path           = "health"
    ingress               = "ALL"
    invokers              = ["allUsers"]
    environment           = { REMOTE_MODELS_MANIFEST_DIGEST = "none" }
    log_retention_days    = 0
    notification_channels = ["me"]
  }

  expect_failures = [
    var.project_id,
    var.region,
    var.name,
    var.image,
    var.service_account_email,
    var.model_url,
    var.manifest_digest,
    var.model_alias,
    var.runtime,
    var.cpu,
    var.min_instances,
    var.requests_per_instance,
    var.timeout_seconds,
    var.startup_seconds,
    var.ready_path,
    var.health_path,
    var.ingress,
    var.invokers,
    var.environment,
    var.log_retention_days,
    var.notification_channels,
  ]
}

run "refuses_what_does_not_fit_the_rest" {
  command = plan

  variables {
    memory_mib       = 8192
    min_instances    = 5
    max_instances    = 4
    timeout_seconds  = 2
    alarm_latency_ms = 2000
  }

  expect_failures = [var.memory_mib, var.max_instances, var.alarm_latency_ms]
}

run "refuses_more_scratch_than_memory" {
  command = plan

  variables {
    scratch_mib = 1024
  }

  expect_failures = [var.scratch_mib]
}

run "follows_an_alias" {
  variables {
    model_alias     = "production"
    refresh_seconds = 60
  }

  assert {
    condition     = { for variable in google_cloud_run_v2_service.this.template[0].containers[0].env : variable.name => variable.value }["REMOTE_MODELS_ALIAS"] == "production"
    error_message = "The service follows another alias."
  }

  assert {
    condition     = { for variable in google_cloud_run_v2_service.this.template[0].containers[0].env : variable.name => variable.value }["REMOTE_MODELS_REFRESH"] == "60"
    error_message = "The service does not look for another version."
  }
}

run "refuses_to_refresh_what_is_pinned" {
  command = plan

  variables {
    manifest_digest = "sha256:1111111111111111111111111111111111111111111111111111111111111111"
    refresh_seconds = 60
  }

  expect_failures = [var.refresh_seconds]
}

run "refuses_to_refresh_all_the_time" {
  command = plan

  variables {
    refresh_seconds = 0
  }

  expect_failures = [var.refresh_seconds]
}
