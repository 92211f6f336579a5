output "writer_email" {
  description = "Service account for who trains, known once it may write."
  value       = google_service_account.this["writer"].email

  depends_on = [
    google_storage_bucket_iam_member.objects,
    google_storage_bucket_iam_member.replace,
    google_storage_bucket_iam_member.list,
  ]
}

output "reader_email" {
  description = "Service account for who loads, known once it may read."
  value       = google_service_account.this["reader"].email

  depends_on = [google_storage_bucket_iam_member.objects, google_storage_bucket_iam_member.list]
}

output "workload_identity_provider" {
  description = "Full name of the provider that CI signs in with. Null where there is none."
  value       = one(google_iam_workload_identity_pool_provider.this[*].name)
}
