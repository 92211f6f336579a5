output "writer_role_arn" {
  description = "Role for who trains. Null where nobody may become it."
  value       = try(aws_iam_role.this["writer"].arn, null)
}

output "reader_role_arn" {
  description = "Role for who loads. Null where nobody may become it."
  value       = try(aws_iam_role.this["reader"].arn, null)
}

output "writer_policy_json" {
  description = "What the writer may do, for a role that is made elsewhere."
  value       = local.policies.writer
}

output "reader_policy_json" {
  description = "What the reader may do, for a role that is made elsewhere, such as that of a function."
  value       = local.policies.reader
}

output "oidc_provider_arn" {
  description = "The OIDC provider. Null where there is none."
  value       = local.provider_arn
}
