output "bucket_name" {
  description = "Name of the bucket, known once it is closed to the public and has versions."
  value       = aws_s3_bucket.this.bucket

  depends_on = [
    aws_s3_bucket_ownership_controls.this,
    aws_s3_bucket_policy.this,
    aws_s3_bucket_public_access_block.this,
    aws_s3_bucket_server_side_encryption_configuration.this,
    aws_s3_bucket_versioning.this,
  ]
}

output "bucket_arn" {
  description = "ARN of the bucket."
  value       = local.bucket_arn
}

output "url" {
  description = "URL below which models are saved."
  value       = "s3://${var.bucket_name}"
}
