output "name" {
  description = "Name of the service."
  value       = google_cloud_run_v2_service.this.name
}

output "url" {
  description = "URL of the service."
  value       = google_cloud_run_v2_service.this.uri
}

output "log_bucket" {
  description = "Log bucket with the service's logs."
  value       = google_logging_project_bucket_config.this.id
}
