mock_provider "google" {}

variables {
  project_id  = "a-project"
  name_prefix = "team-models"
  bucket_name = "models-of-a-team"
  prefix      = "models/"
}

run "exactly_what_is_needed" {
  assert {
    condition     = google_project_iam_custom_role.objects["reader"].permissions == toset(["storage.objects.get"])
    error_message = "The reader may do something else."
  }

  assert {
    condition = google_project_iam_custom_role.objects["writer"].permissions == toset([
      "storage.objects.create", "storage.objects.delete", "storage.objects.get",
    ])
    error_message = "The writer may do something else."
  }

  assert {
    condition = alltrue([
      for who in ["reader", "writer"] :
      google_storage_bucket_iam_member.objects[who].condition[0].expression
      == "resource.type == \"storage.googleapis.com/Object\" && resource.name.startsWith(\"projects/_/buckets/models-of-a-team/objects/models/\")"
    ])
    error_message = "They are not confined to the prefix."
  }

  assert {
    condition     = length(google_storage_bucket_iam_member.list) == 0 && length(google_project_iam_custom_role.list) == 0
    error_message = "Nobody was to list."
  }

  assert {
    condition     = length(google_storage_bucket_iam_member.replace) == 0 && length(google_project_iam_custom_role.replace) == 0
    error_message = "The writer may replace everything already."
  }

  assert {
    condition     = length(google_iam_workload_identity_pool.this) == 0 && output.workload_identity_provider == null
    error_message = "Nobody was to sign in from outside."
  }

  assert {
    condition     = google_project_iam_custom_role.objects["writer"].role_id == "team_models_writer"
    error_message = "The role has a name that Google refuses."
  }
}

run "writes_once" {
  variables {
    writer_may_replace = false
  }

  assert {
    condition     = google_project_iam_custom_role.objects["writer"].permissions == toset(["storage.objects.create", "storage.objects.get"])
    error_message = "The writer may replace."
  }

  assert {
    condition = (
      google_project_iam_custom_role.replace[0].permissions == toset(["storage.objects.delete"])
      && google_storage_bucket_iam_member.replace[0].condition[0].expression
      == "resource.type == \"storage.googleapis.com/Object\" && resource.name.startsWith(\"projects/_/buckets/models-of-a-team/objects/models/\") && resource.name.endsWith(\".json\")"
    )
    error_message = "The writer could not commit, or replaces more than manifests and aliases."
  }
}

run "lists" {
  variables {
    writer_may_list = true
  }

  assert {
    condition     = keys(google_storage_bucket_iam_member.list) == ["writer"]
    error_message = "Another one may list."
  }

  assert {
    condition     = google_storage_bucket_iam_member.list["writer"].condition[0].expression == "api.getAttribute(\"storage.googleapis.com/objectListPrefix\", \"\").startsWith(\"models/\")"
    error_message = "Listing is not confined to the prefix."
  }
}

run "whole_bucket" {
  variables {
    prefix = ""
  }

  assert {
    condition     = length(google_storage_bucket_iam_member.objects["reader"].condition) == 0
    error_message = "There is a condition without a prefix."
  }
}

run "continuous_integration_signs_in" {
  variables {
    oidc_issuer_url      = "https://token.actions.githubusercontent.com"
    oidc_condition       = "assertion.repository_owner_id == '1234567'"
    oidc_writer_subjects = ["repo:acme/train:ref:refs/heads/main"]
  }

  override_resource {
    target = google_iam_workload_identity_pool.this
    values = { name = "projects/123/locations/global/workloadIdentityPools/team-models-pool" }
  }

  assert {
    condition     = google_iam_workload_identity_pool_provider.this[0].attribute_condition == "assertion.repository_owner_id == '1234567'"
    error_message = "Everybody's tokens are taken."
  }

  assert {
    condition     = google_iam_workload_identity_pool_provider.this[0].attribute_mapping == tomap({ "google.subject" = "assertion.sub" })
    error_message = "Who signs in is not known by the token's subject."
  }

  assert {
    condition = [for member in google_service_account_iam_member.signed_in : member.member] == [
      "principal://iam.googleapis.com/projects/123/locations/global/workloadIdentityPools/team-models-pool/subject/repo:acme/train:ref:refs/heads/main",
    ]
    error_message = "Another one may become the writer."
  }
}

run "refuses_an_issuer_without_a_condition" {
  command = plan

  variables {
    oidc_issuer_url = "https://token.actions.githubusercontent.com"
    oidc_condition  = "true"
  }

  expect_failures = [var.oidc_condition]
}

run "refuses_subjects_without_an_issuer" {
  command = plan

  variables {
    oidc_writer_subjects = ["repo:acme/train:ref:refs/heads/main"]
    oidc_reader_subjects = ["repo:acme/*"]
  }

  expect_failures = [var.oidc_writer_subjects, var.oidc_reader_subjects]
}

run "refuses_bad_values" {
  command = plan

  variables {
    project_id      = "A"
    name_prefix     = "a-name-that-is-longer-than-accounts-take"
    bucket_name     = "gs://models"
    prefix          = "models\") || (\"\" == \"/"
    oidc_issuer_url = "http://token.actions.githubusercontent.com/"
    oidc_condition  = "assertion.sub == 'x'"
    oidc_audiences  = [""]
  }

  expect_failures = [
    var.project_id,
    var.name_prefix,
    var.bucket_name,
    var.prefix,
    var.oidc_issuer_url,
    var.oidc_audiences,
  ]
}
