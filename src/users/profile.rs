//! `/api/users/profile`: what a person sees and changes of themselves.

use actix_web::web;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::domain::{Email, MailKind, MailPurpose, Timestamp, Username};
use crate::http::{ApiError, ErrorCode, Fields, Json, OwnUser, RequestBody};
use crate::identity::{Actor, Audit, Bearer};
use crate::mail::Mailer;
use crate::rate_limits::{ClientLimits, MailPermission};
use crate::store::{AddressMail, MessagesFrom, ProfileChange, ProfileUpdate, Store};

#[utoipa::path(
    get,
    path = "/api/users/profile",
    summary = "Get the profile",
    description = "The caller as they see themselves.",
    responses((status = 200, description = "The caller.", body = OwnUser))
)]
pub(super) async fn get_profile(bearer: Bearer, store: web::Data<dyn Store>) -> Result<web::Json<OwnUser>, ApiError> {
    let (found, chats) =
        futures_util::try_join!(store.find_profile(bearer.session_key()), store.list_chat_ids(bearer.user(), OwnUser::MAX_CHATS))?;
    let user = bearer.admit(found)?;
    Ok(web::Json(OwnUser::new(user, chats)))
}

/// One field at least.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub(super) struct UpdateProfileBody {
    #[schema(value_type = Option<Username>)]
    username: Option<String>,
    #[schema(value_type = Option<Email>)]
    email: Option<String>,
    #[schema(value_type = Option<MessagesFrom>)]
    messages_from: Option<String>,
}

impl RequestBody for UpdateProfileBody {}

#[derive(Serialize, ToSchema)]
pub(super) struct UpdatedProfile {
    #[schema(examples("Profile updated successfully"))]
    message: &'static str,
    user: OwnUser,
}

#[utoipa::path(
    put,
    path = "/api/users/profile",
    summary = "Change the profile",
    description = "Changes what is given. A new address counts at once and is to be verified again; the old one is told.",
    request_body(content = UpdateProfileBody, example = json!({ "messagesFrom": "friends" })),
    responses((status = 200, description = "The profile is changed.", body = UpdatedProfile))
)]
pub(super) async fn update_profile(
    bearer: Bearer,
    store: web::Data<dyn Store>,
    mailer: web::Data<Mailer>,
    limits: ClientLimits,
    audit: Audit,
    Json(body): Json<UpdateProfileBody>,
) -> Result<web::Json<UpdatedProfile>, ApiError> {
    let change = check(body)?;
    let (found, chats) =
        futures_util::try_join!(store.find_profile(bearer.session_key()), store.list_chat_ids(bearer.user(), OwnUser::MAX_CHATS))?;
    let present = bearer.admit(found)?;
    let new_address = change.email.as_ref().filter(|email| email.key() != present.email.key());
    let mail = match new_address {
        Some(new) => address_mail(&mailer, &limits, &present.email, new, bearer.now()).await?,
        None => AddressMail::None,
    };
    match store.update_profile(bearer.user(), &change, bearer.now(), mail).await? {
        ProfileUpdate::Updated(user) => {
            mailer.notify();
            if new_address.is_some() {
                audit.note("address_changed", &Actor::User(user.id));
            }
            Ok(web::Json(UpdatedProfile { message: "Profile updated successfully", user: OwnUser::new(user, chats) }))
        }
        ProfileUpdate::UsernameTaken => Err(ErrorCode::UsernameTaken.into()),
        ProfileUpdate::EmailTaken => Err(ErrorCode::EmailTaken.into()),
        ProfileUpdate::NotFound => Err(ErrorCode::Unauthorized.into()),
    }
}

/// The old address is told of the change whenever mail can be sent; the new one gets its mail unless it was sent too many.
async fn address_mail(
    mailer: &Mailer,
    limits: &ClientLimits,
    present: &Email,
    new: &Email,
    now: Timestamp,
) -> Result<AddressMail, ApiError> {
    let permission = limits.ask_for_mail(MailPurpose::NewAddress, &new.key()).await?;
    let may_tell = mailer.order(MailKind::AddressChanged, present, now).is_some();
    Ok(match permission {
        MailPermission::Granted if mailer.order(MailKind::NewAddress, new, now).is_some() => AddressMail::ToBoth,
        _ if may_tell => AddressMail::ToPresent,
        _ => AddressMail::None,
    })
}

fn check(body: UpdateProfileBody) -> Result<ProfileChange, ApiError> {
    let mut fields = Fields::new();
    if body.username.is_none() && body.email.is_none() && body.messages_from.is_none() {
        for name in ["username", "email", "messagesFrom"] {
            fields.wrong(name, "at least one field is required");
        }
    }
    let change = ProfileChange {
        username: fields.optional("username", body.username, |text| Username::parse(&text)),
        email: fields.optional("email", body.email, |text| Email::parse(&text)),
        messages_from: fields
            .optional("messagesFrom", body.messages_from, |text| MessagesFrom::parse(&text).ok_or("must be everyone or friends")),
    };
    fields.finish().map(|()| change)
}
