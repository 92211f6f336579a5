locals {
  # What docs/permissions.md says of loading and of saving, permission by permission.
  reader_permissions = ["storage.objects.get"]
  writer_permissions = [
    "storage.objects.create",
    "storage.objects.get",
    "storage.objects.delete",
  ]
  list_permissions = ["storage.objects.list"]

  # Replacing an object deletes the one that was there (Cloud Storage documentation, "IAM
  # permissions for JSON methods"). Every save replaces its own manifest once, and a
  # repository its aliases: all of these end in .json, and no file with weights or graphs does.
  replacing          = ["storage.objects.delete"]
  replaceable_suffix = ".json"

  permissions = {
    reader = local.reader_permissions
    writer = [
      for permission in local.writer_permissions : permission
      if var.writer_may_replace || !contains(local.replacing, permission)
    ]
  }
  listers = toset([
    for who, may_list in { reader = var.reader_may_list, writer = var.writer_may_list } : who if may_list
  ])

  below_the_prefix = "resource.type == \"storage.googleapis.com/Object\" && resource.name.startsWith(\"projects/_/buckets/${var.bucket_name}/objects/${var.prefix}\")"

  # Names of roles take no hyphens.
  role_prefix = replace(var.name_prefix, "-", "_")

  subjects = { reader = var.oidc_reader_subjects, writer = var.oidc_writer_subjects }
  signed_in = {
    for pair in flatten([
      for who, subjects in local.subjects : [for subject in subjects : { who = who, subject = subject }]
    ]) : "${pair.who} ${pair.subject}" => pair
  }
}

resource "google_service_account" "this" {
  for_each = local.permissions

  project      = var.project_id
  account_id   = "${var.name_prefix}-${each.key}"
  display_name = each.key == "writer" ? "Saves models to gs://${var.bucket_name}/${var.prefix}" : "Loads models from gs://${var.bucket_name}/${var.prefix}"
}

resource "google_project_iam_custom_role" "objects" {
  for_each = local.permissions

  project     = var.project_id
  role_id     = "${local.role_prefix}_${each.key}"
  title       = "${var.name_prefix} ${each.key}"
  description = "What remote_models needs, and nothing else."
  permissions = each.value
}

resource "google_storage_bucket_iam_member" "objects" {
  for_each = local.permissions

  bucket = var.bucket_name
  role   = google_project_iam_custom_role.objects[each.key].name
  member = "serviceAccount:${google_service_account.this[each.key].email}"

  dynamic "condition" {
    for_each = compact([var.prefix])

    content {
      title      = "below the prefix"
      expression = local.below_the_prefix
    }
  }
}

resource "google_project_iam_custom_role" "replace" {
  count = var.writer_may_replace ? 0 : 1

  project     = var.project_id
  role_id     = "${local.role_prefix}_replacer"
  title       = "${var.name_prefix} replacer"
  description = "Replaces manifests and aliases."
  permissions = local.replacing
}

resource "google_storage_bucket_iam_member" "replace" {
  count = var.writer_may_replace ? 0 : 1

  bucket = var.bucket_name
  role   = google_project_iam_custom_role.replace[0].name
  member = "serviceAccount:${google_service_account.this["writer"].email}"

  condition {
    title      = "manifests and aliases"
    expression = "${local.below_the_prefix} && resource.name.endsWith(\"${local.replaceable_suffix}\")"
  }
}

resource "google_project_iam_custom_role" "list" {
  count = length(local.listers) > 0 ? 1 : 0

  project     = var.project_id
  role_id     = "${local.role_prefix}_lister"
  title       = "${var.name_prefix} lister"
  description = "Lists objects."
  permissions = local.list_permissions
}

# Listing is asked of the bucket, so that it has a condition of its own (Cloud Storage
# documentation, "IAM Conditions": the attribute objectListPrefix).
resource "google_storage_bucket_iam_member" "list" {
  for_each = local.listers

  bucket = var.bucket_name
  role   = google_project_iam_custom_role.list[0].name
  member = "serviceAccount:${google_service_account.this[each.key].email}"

  dynamic "condition" {
    for_each = compact([var.prefix])

    content {
      title      = "below the prefix"
      expression = "api.getAttribute(\"storage.googleapis.com/objectListPrefix\", \"\").startsWith(\"${condition.value}\")"
    }
  }
}

resource "google_iam_workload_identity_pool" "this" {
  count = var.oidc_issuer_url == null ? 0 : 1

  project                   = var.project_id
  workload_identity_pool_id = "${var.name_prefix}-pool"
  display_name              = "${var.name_prefix} models"
  description               = "Who saves and loads models from outside of Google Cloud."
}

resource "google_iam_workload_identity_pool_provider" "this" {
  #checkov:skip=CKV_GCP_125:The condition is the caller's and must be there; who becomes whom is bound to whole subjects below.
  count = var.oidc_issuer_url == null ? 0 : 1

  project                            = var.project_id
  workload_identity_pool_id          = google_iam_workload_identity_pool.this[0].workload_identity_pool_id
  workload_identity_pool_provider_id = "${var.name_prefix}-oidc"
  attribute_mapping                  = { "google.subject" = "assertion.sub" }
  attribute_condition                = var.oidc_condition

  oidc {
    issuer_uri        = var.oidc_issuer_url
    allowed_audiences = var.oidc_audiences
  }
}

resource "google_service_account_iam_member" "signed_in" {
  for_each = local.signed_in

  service_account_id = google_service_account.this[each.value.who].name
  role               = "roles/iam.workloadIdentityUser"
  member             = "principal://iam.googleapis.com/${google_iam_workload_identity_pool.this[0].name}/subject/${each.value.subject}"
}
