data "aws_partition" "current" {}

locals {
  # What docs/permissions.md says of readers and writers, action by action.
  reader_actions = ["s3:GetObject", "s3:GetObjectVersion"]
  writer_actions = [
    "s3:GetObject",
    "s3:GetObjectVersion",
    "s3:PutObject",
    "s3:DeleteObject",
    "s3:AbortMultipartUpload",
  ]

  bucket_arn  = "arn:${data.aws_partition.current.partition}:s3:::${var.bucket_name}"
  objects_arn = "${local.bucket_arn}/${var.prefix}*"

  list = {
    Sid       = "List"
    Effect    = "Allow"
    Action    = ["s3:ListBucket"]
    Resource  = [local.bucket_arn]
    Condition = { StringLike = { "s3:prefix" = ["${var.prefix}*"] } }
  }

  # AWS KMS Developer Guide, "Permissions to use KMS keys in S3": what is uploaded in parts
  # is decrypted too.
  kms_actions = { reader = ["kms:Decrypt"], writer = ["kms:Decrypt", "kms:GenerateDataKey"] }

  actions  = { reader = local.reader_actions, writer = local.writer_actions }
  may_list = { reader = var.reader_may_list, writer = var.writer_may_list }

  policies = {
    for who in ["reader", "writer"] : who => jsonencode({
      Version = "2012-10-17"
      Statement = concat(
        [{ Sid = "Objects", Effect = "Allow", Action = local.actions[who], Resource = [local.objects_arn] }],
        [for statement in [local.list] : statement if local.may_list[who]],
        [
          for key in compact([var.kms_key_arn]) :
          { Sid = "Key", Effect = "Allow", Action = local.kms_actions[who], Resource = [key] }
        ],
      )
    })
  }

  services   = { reader = var.reader_services, writer = var.writer_services }
  principals = { reader = var.reader_principal_arns, writer = var.writer_principal_arns }
  subjects   = { reader = var.oidc_reader_subjects, writer = var.oidc_writer_subjects }

  # The keys of conditions are the issuer's URL without its scheme.
  issuer       = var.oidc_issuer_url == null ? "" : trimprefix(var.oidc_issuer_url, "https://")
  provider_arn = var.oidc_provider_arn == null ? one(aws_iam_openid_connect_provider.this[*].arn) : var.oidc_provider_arn

  trust = {
    for who in ["reader", "writer"] : who => concat(
      [
        for services in [local.services[who]] :
        { Effect = "Allow", Action = "sts:AssumeRole", Principal = { Service = services } }
        if length(services) > 0
      ],
      [
        for arns in [local.principals[who]] :
        { Effect = "Allow", Action = "sts:AssumeRole", Principal = { AWS = arns } }
        if length(arns) > 0
      ],
      [
        for subjects in [local.subjects[who]] :
        {
          Effect    = "Allow"
          Action    = "sts:AssumeRoleWithWebIdentity"
          Principal = { Federated = local.provider_arn }
          Condition = {
            StringEquals = { "${local.issuer}:aud" = var.oidc_audience }
            StringLike   = { "${local.issuer}:sub" = subjects }
          }
        }
        if length(subjects) > 0
      ],
    )
  }

  # IAM takes no role that nobody may become.
  roles = toset([
    for who in ["reader", "writer"] : who
    if length(local.services[who]) + length(local.principals[who]) + length(local.subjects[who]) > 0
  ])
}

resource "aws_iam_openid_connect_provider" "this" {
  count = var.oidc_issuer_url != null && var.oidc_provider_arn == null ? 1 : 0

  url            = var.oidc_issuer_url
  client_id_list = [var.oidc_audience]
  tags           = var.tags
}

resource "aws_iam_role" "this" {
  for_each = local.roles

  name                 = "${var.name_prefix}-${each.key}"
  description          = each.key == "writer" ? "Saves models to s3://${var.bucket_name}/${var.prefix}" : "Loads models from s3://${var.bucket_name}/${var.prefix}"
  max_session_duration = var.max_session_seconds
  assume_role_policy   = jsonencode({ Version = "2012-10-17", Statement = local.trust[each.key] })
  tags                 = var.tags
}

resource "aws_iam_role_policy" "this" {
  for_each = local.roles

  name   = "models"
  role   = aws_iam_role.this[each.key].id
  policy = local.policies[each.key]
}
