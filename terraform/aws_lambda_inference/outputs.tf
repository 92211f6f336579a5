output "function_name" {
  description = "Name of the function."
  value       = aws_lambda_function.this.function_name
}

output "alias_arn" {
  description = "ARN that callers invoke: the alias live, which always leads to a published version."
  value       = aws_lambda_alias.live.arn
}

output "function_url" {
  description = "URL of the function. Null where it has none."
  value       = one(aws_lambda_function_url.this[*].function_url)
}

output "role_arn" {
  description = "Role that the function has."
  value       = aws_iam_role.this.arn
}

output "log_group_name" {
  description = "Where the logs go."
  value       = aws_cloudwatch_log_group.this.name
}
