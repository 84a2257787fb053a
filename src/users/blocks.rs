//! `/api/users/blocks`: whom the caller wants to hear nothing from.

use actix_web::web;
use serde::{Deserialize, Serialize};

use crate::domain::UserId;
use crate::http::{ApiError, ErrorCode, Fields, Json, Message, PublicUser, RequestBody};
use crate::identity::{Actor, Audit, Bearer};
use crate::store::{BlockAddition, Store};

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub(super) struct BlockBody {
    user_id: Option<String>,
}

impl RequestBody for BlockBody {}

impl BlockBody {
    fn check(self) -> Result<UserId, ApiError> {
        let mut fields = Fields::new();
        let user = fields.required("userId", self.user_id, |text| UserId::parse(&text).ok_or("is not the id of a user"));
        fields.finish_with(|| user)
    }
}

#[derive(Serialize)]
pub(super) struct BlockList {
    blocks: Vec<PublicUser>,
}

pub(super) async fn list_blocks(bearer: Bearer, store: web::Data<dyn Store>) -> Result<web::Json<BlockList>, ApiError> {
    let blocked = bearer.admit(store.list_blocks(bearer.session_key(), bearer.now()).await?)?;
    Ok(web::Json(BlockList { blocks: blocked.iter().map(|person| PublicUser::new(person, bearer.now())).collect() }))
}

pub(super) async fn block_user(
    bearer: Bearer,
    store: web::Data<dyn Store>,
    audit: Audit,
    Json(body): Json<BlockBody>,
) -> Result<web::Json<Message>, ApiError> {
    let other = body.check()?;
    let found = bearer.admit(store.find_peer(bearer.session_key(), other).await?)?;
    if other == bearer.user() {
        return Err(ApiError::field("userId", "must not be yourself"));
    }
    found.ok_or(ErrorCode::UserNotFound)?;
    match store.block(bearer.user(), other, bearer.now()).await? {
        BlockAddition::Blocked => {
            audit.note_about("user_blocked", &Actor::User(bearer.user()), &other);
            Ok(Message::new("User blocked successfully"))
        }
        BlockAddition::LimitReached => Err(ErrorCode::BlockLimit.into()),
    }
}

pub(super) async fn unblock_user(
    bearer: Bearer,
    store: web::Data<dyn Store>,
    audit: Audit,
    Json(body): Json<BlockBody>,
) -> Result<web::Json<Message>, ApiError> {
    let other = body.check()?;
    bearer.admit(store.find_session(bearer.session_key()).await?)?;
    if !store.unblock(bearer.user(), other).await? {
        return Err(ErrorCode::NotBlocked.into());
    }
    audit.note_about("user_unblocked", &Actor::User(bearer.user()), &other);
    Ok(Message::new("User unblocked successfully"))
}
