//! The User service: profiles and friends.

mod friends;
mod profile;

use actix_web::http::Method;

use crate::http::Endpoint;

/// What the service offers.
#[must_use]
pub fn endpoints() -> Vec<Endpoint> {
    vec![
        Endpoint::new(Method::GET, "/api/users/profile", profile::get_profile),
        Endpoint::new(Method::PUT, "/api/users/profile", profile::update_profile),
        Endpoint::new(Method::POST, "/api/users/friends", friends::add_friend),
        Endpoint::new(Method::DELETE, "/api/users/friends", friends::remove_friend),
    ]
}
