output "model_url" {
  description = "Where training saves the model."
  value       = "${module.bucket.url}/models/digits"
}

output "writer_role_arn" {
  description = "Role that continuous integration and training take."
  value       = module.access.writer_role_arn
}

output "function_url" {
  description = "Where the model answers."
  value       = module.inference.function_url
}
