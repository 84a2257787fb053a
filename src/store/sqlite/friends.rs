//! Changes of the lists of friends and blocks in SQLite.

use rusqlite::{Connection, OptionalExtension as _, Row, params};

use super::rows;
use crate::domain::{Timestamp, UserId};
use crate::store::{BlockAddition, Change, FriendAddition};

/// There is no row for an account that is gone.
const SELECT_FRIENDSHIP: &str = "
    SELECT EXISTS (SELECT 1 FROM friends WHERE user = ?1 AND friend = ?2),
           EXISTS (SELECT 1 FROM blocks WHERE user = ?1 AND blocked = ?2),
           (SELECT count(*) FROM friends WHERE user = ?1)
    FROM users WHERE id = ?1 AND held_until IS NULL";
const SELECT_BLOCK: &str = "
    SELECT EXISTS (SELECT 1 FROM blocks WHERE user = ?1 AND blocked = ?2), (SELECT count(*) FROM blocks WHERE user = ?1)
    FROM users WHERE id = ?1 AND held_until IS NULL";
const INSERT_FRIEND: &str = "INSERT INTO friends (user, friend, added_at) VALUES (?1, ?2, ?3)";
const INSERT_BLOCK: &str = "INSERT INTO blocks (user, blocked, blocked_at) VALUES (?1, ?2, ?3)";
const DELETE_FRIEND: &str = "DELETE FROM friends WHERE user = ?1 AND friend = ?2";
const DELETE_BLOCK: &str = "DELETE FROM blocks WHERE user = ?1 AND blocked = ?2";

pub(super) fn add(connection: &Connection, user: UserId, friend: UserId, at: Timestamp) -> rusqlite::Result<FriendAddition> {
    let pair = params![user.to_bytes(), friend.to_bytes()];
    let refusal = |row: &Row<'_>| Ok(FriendAddition::refusal(row.get(0)?, row.get(1)?, rows::count(row, 2)?));
    match connection.prepare_cached(SELECT_FRIENDSHIP)?.query_row(pair, refusal).optional()? {
        None => Ok(FriendAddition::NoAccount),
        Some(Some(refusal)) => Ok(refusal),
        Some(None) => {
            connection.prepare_cached(INSERT_FRIEND)?.execute(params![user.to_bytes(), friend.to_bytes(), at.as_millis()])?;
            Ok(FriendAddition::Added)
        }
    }
}

pub(super) fn remove(connection: &Connection, user: UserId, friend: UserId) -> rusqlite::Result<bool> {
    Ok(connection.prepare_cached(DELETE_FRIEND)?.execute(params![user.to_bytes(), friend.to_bytes()])? > 0)
}

/// Tells of a block only if there was none before.
pub(super) fn block(
    connection: &Connection,
    user: UserId,
    other: UserId,
    at: Timestamp,
) -> rusqlite::Result<(BlockAddition, Option<Change>)> {
    let without_change = |row: &Row<'_>| Ok(BlockAddition::without_change(row.get(0)?, rows::count(row, 1)?));
    let found =
        connection.prepare_cached(SELECT_BLOCK)?.query_row(params![user.to_bytes(), other.to_bytes()], without_change).optional()?;
    let Some(without_change) = found else { return Ok((BlockAddition::NoAccount, None)) };
    match without_change {
        Some(BlockAddition::Blocked) => {}
        Some(refusal) => return Ok((refusal, None)),
        None => {
            connection.prepare_cached(INSERT_BLOCK)?.execute(params![user.to_bytes(), other.to_bytes(), at.as_millis()])?;
        }
    }
    remove(connection, user, other)?;
    remove(connection, other, user)?;
    Ok((BlockAddition::Blocked, without_change.is_none().then_some(Change::Access(user))))
}

pub(super) fn unblock(connection: &Connection, user: UserId, other: UserId) -> rusqlite::Result<bool> {
    Ok(connection.prepare_cached(DELETE_BLOCK)?.execute(params![user.to_bytes(), other.to_bytes()])? > 0)
}

#[cfg(test)]
mod tests {
    use super::super::schema::assert_plan;
    use super::*;

    #[test]
    fn every_query_walks_an_index() {
        let (friend, block) = ("sqlite_autoindex_friends_1 (user=? AND friend=?)", "sqlite_autoindex_blocks_1 (user=? AND blocked=?)");
        let by_id = "SEARCH users USING PRIMARY KEY (id=?)";
        let (is_friend, is_blocked) =
            (["SEARCH friends USING COVERING INDEX ", friend].concat(), ["SEARCH blocks USING COVERING INDEX ", block].concat());
        let friends = "SEARCH friends USING COVERING INDEX friends_in_order (user=?)";
        assert_plan(SELECT_FRIENDSHIP, &[by_id, &is_friend, &is_blocked, friends]);
        assert_plan(SELECT_BLOCK, &[by_id, &is_blocked, "SEARCH blocks USING COVERING INDEX blocks_in_order (user=?)"]);
        assert_plan(DELETE_FRIEND, &[&["SEARCH friends USING INDEX ", friend].concat()]);
        assert_plan(DELETE_BLOCK, &[&["SEARCH blocks USING INDEX ", block].concat()]);
    }
}
