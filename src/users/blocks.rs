//! `/api/users/blocks`: whom the caller wants to hear nothing from.

use actix_web::web;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::domain::UserId;
use crate::http::{ApiError, ErrorCode, Fields, Json, Message, PublicUser, RequestBody, at_most};
use crate::identity::{Actor, Audit, Bearer};
use crate::store::{BlockAddition, MAX_BLOCKS, Store};

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub(super) struct BlockBody {
    #[schema(required, value_type = UserId)]
    user_id: Option<String>,
}

impl RequestBody for BlockBody {
    fn ids(&mut self) -> Vec<(&'static str, &mut Option<String>)> {
        vec![("userId", &mut self.user_id)]
    }
}

impl BlockBody {
    fn check(self) -> Result<UserId, ApiError> {
        let mut fields = Fields::new();
        let user = fields.required("userId", self.user_id, |text| UserId::parse(&text).ok_or("is not the id of a user"));
        fields.finish_with(|| user)
    }
}

#[derive(Serialize, ToSchema)]
pub(super) struct BlockList {
    #[schema(schema_with = at_most::<PublicUser, MAX_BLOCKS>)]
    blocks: Vec<PublicUser>,
}

#[utoipa::path(
    get,
    path = "/api/users/blocks",
    summary = "List blocked people",
    description = "Whom the caller has blocked.",
    responses((status = 200, description = "The people.", body = BlockList))
)]
pub(super) async fn list_blocks(bearer: Bearer, store: web::Data<dyn Store>) -> Result<web::Json<BlockList>, ApiError> {
    let blocked = bearer.admit(store.list_blocks(bearer.session_key(), bearer.now()).await?)?;
    Ok(web::Json(BlockList { blocks: blocked.iter().map(|person| PublicUser::new(person, bearer.now())).collect() }))
}

#[utoipa::path(
    post,
    path = "/api/users/blocks",
    summary = "Block somebody",
    description = "Undoes friendship on both sides and hides the caller. Blocking twice changes nothing.",
    request_body = BlockBody,
    responses((status = 200, description = "The person is blocked.", body = Message))
)]
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
        // It was deleted after the session was looked at.
        BlockAddition::NoAccount => Err(ErrorCode::Unauthorized.into()),
    }
}

#[utoipa::path(
    delete,
    path = "/api/users/blocks",
    summary = "End a block",
    description = "Lets somebody see the caller and write to them again. Friendship does not come back by itself.",
    params(("userId" = Option<UserId>, Query, description = "Instead of a body, which some proxies and clients drop.")),
    request_body = BlockBody,
    responses((status = 200, description = "The person is not blocked any more.", body = Message))
)]
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
