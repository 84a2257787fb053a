//! `GET /api/users/search`: people by the beginning of their names or by their ids, never by address.

use actix_web::{HttpRequest, web};
use serde::Serialize;
use utoipa::openapi::path::{Parameter, ParameterBuilder, ParameterIn, ParameterStyle};
use utoipa::{IntoParams, ToSchema};

use crate::domain::{UserId, UsernamePrefix};
use crate::http::{ApiError, ErrorCode, Fields, PublicUser, Query, at_most, optional, reference};
use crate::identity::Bearer;
use crate::store::Store;

const MAX_FOUND: usize = 20;
const MAX_IDS: usize = 100;

enum Wanted {
    Named(UsernamePrefix),
    These(Vec<UserId>),
}

#[derive(Serialize, ToSchema)]
pub(super) struct FoundUsers {
    #[schema(schema_with = at_most::<PublicUser, MAX_IDS>)]
    users: Vec<PublicUser>,
}

impl IntoParams for Wanted {
    fn into_params(_: impl Fn() -> Option<ParameterIn>) -> Vec<Parameter> {
        let of_names = format!("People whose names begin so, {MAX_FOUND} at most.");
        let ids = optional("ids", ParameterIn::Query, at_most::<UserId, MAX_IDS>(), "People by their ids, separated by commas.");
        let ids = ParameterBuilder::from(ids).style(Some(ParameterStyle::Form)).explode(Some(false)).build();
        vec![optional("username", ParameterIn::Query, reference::<UsernamePrefix>(), &of_names), ids]
    }
}

/// Whoever has blocked the caller is missing, as if they did not exist.
#[utoipa::path(
    get,
    path = "/api/users/search",
    summary = "Search people",
    description = "Finds people by the beginning of a name or by their ids: exactly one of the two. Whoever has blocked the caller is missing.",
    params(Wanted),
    responses((status = 200, description = "The people.", body = FoundUsers))
)]
pub(super) async fn search_users(
    request: HttpRequest,
    bearer: Bearer,
    store: web::Data<dyn Store>,
) -> Result<web::Json<FoundUsers>, ApiError> {
    let wanted = check(request.query_string())?;
    let (caller, now) = (bearer.user(), bearer.now());
    let people = async {
        match &wanted {
            Wanted::Named(prefix) => store.search_people(caller, prefix, MAX_FOUND, now).await,
            Wanted::These(ids) => store.find_people(caller, ids, now).await,
        }
    };
    let (found, people) = futures_util::try_join!(store.find_session(bearer.session_key()), people)?;
    bearer.admit(found)?;
    Ok(web::Json(FoundUsers { users: people.iter().map(|person| PublicUser::new(person, now)).collect() }))
}

fn check(query: &str) -> Result<Wanted, ApiError> {
    let mut query = Query::parse(query, &["username", "ids"])?;
    let mut fields = Fields::new();
    let wanted = match (query.take("username"), query.take("ids")) {
        (Some(text), None) => fields.optional("username", Some(text), |text| UsernamePrefix::parse(&text)).map(Wanted::Named),
        (None, Some(text)) => fields.optional("ids", Some(text), |text| parse_ids(&text)).map(Wanted::These),
        _ => {
            fields.wrong("username", "exactly one of username and ids is required");
            None
        }
    };
    fields.finish()?;
    wanted.ok_or_else(|| ErrorCode::InvalidQuery.into())
}

fn parse_ids(text: &str) -> Result<Vec<UserId>, String> {
    let ids: Option<Vec<UserId>> = text.split(',').map(UserId::parse).collect();
    ids.filter(|ids| ids.len() <= MAX_IDS).ok_or_else(|| format!("must be up to {MAX_IDS} ids of users, separated by commas"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_read_all_or_none() {
        let id = UserId::generate();
        assert_eq!(parse_ids(&format!("{id},{id}")), Ok(vec![id, id]));
        for bad in [String::new(), format!("{id},"), format!(" {id}"), format!("{id};{id}"), vec![id.to_string(); 101].join(",")] {
            assert!(parse_ids(&bad).is_err(), "{bad}");
        }
    }
}
