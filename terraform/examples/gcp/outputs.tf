output "model_url" {
  description = "Where training saves the model."
  value       = "${module.bucket.url}/models/digits"
}

output "writer_email" {
  description = "Service account that training takes."
  value       = module.access.writer_email
}

output "workload_identity_provider" {
  description = "Provider that continuous integration signs in with."
  value       = module.access.workload_identity_provider
}

output "service_url" {
  description = "Where the model answers."
  value       = module.inference.url
}
