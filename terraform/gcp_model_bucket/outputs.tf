output "bucket_name" {
  description = "Name of the bucket."
  value       = google_storage_bucket.this.name
}

output "url" {
  description = "URL below which models are saved."
  value       = "gs://${google_storage_bucket.this.name}"
}
