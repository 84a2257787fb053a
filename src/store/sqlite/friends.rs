//! Changes of the lists of friends and blocks in SQLite.

use rusqlite::{Connection, params};

use super::rows;
use crate::domain::{Timestamp, UserId};
use crate::store::{BlockAddition, Change, FriendAddition, MAX_BLOCKS, MAX_FRIENDS};

const SELECT_FRIEND: &str = "SELECT 1 FROM friends WHERE user = ?1 AND friend = ?2";
const SELECT_BLOCK: &str = "SELECT 1 FROM blocks WHERE user = ?1 AND blocked = ?2";
/// An account that is gone has no place for anybody.
const INSERT_FRIEND: &str = "
    INSERT INTO friends (user, friend, added_at)
    SELECT id, ?2, ?3 FROM users
    WHERE id = ?1 AND held_until IS NULL AND (SELECT count(*) FROM friends WHERE user = ?1) < ?4";
const INSERT_BLOCK: &str = "
    INSERT INTO blocks (user, blocked, blocked_at)
    SELECT id, ?2, ?3 FROM users
    WHERE id = ?1 AND held_until IS NULL AND (SELECT count(*) FROM blocks WHERE user = ?1) < ?4";
const DELETE_FRIEND: &str = "DELETE FROM friends WHERE user = ?1 AND friend = ?2";
const DELETE_BLOCK: &str = "DELETE FROM blocks WHERE user = ?1 AND blocked = ?2";

pub(super) fn add(connection: &Connection, user: UserId, friend: UserId, at: Timestamp) -> rusqlite::Result<FriendAddition> {
    let pair = params![user.to_bytes(), friend.to_bytes()];
    if connection.prepare_cached(SELECT_FRIEND)?.exists(pair)? {
        return Ok(FriendAddition::AlreadyFriend);
    }
    if connection.prepare_cached(SELECT_BLOCK)?.exists(pair)? {
        return Ok(FriendAddition::Blocked);
    }
    let row = params![user.to_bytes(), friend.to_bytes(), at.as_millis(), rows::to_sql_limit(MAX_FRIENDS)];
    let inserted = connection.prepare_cached(INSERT_FRIEND)?.execute(row)?;
    Ok(if inserted > 0 { FriendAddition::Added } else { FriendAddition::LimitReached })
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
    let is_blocked = connection.prepare_cached(SELECT_BLOCK)?.exists(params![user.to_bytes(), other.to_bytes()])?;
    let row = params![user.to_bytes(), other.to_bytes(), at.as_millis(), rows::to_sql_limit(MAX_BLOCKS)];
    if !is_blocked && connection.prepare_cached(INSERT_BLOCK)?.execute(row)? == 0 {
        return Ok((BlockAddition::LimitReached, None));
    }
    remove(connection, user, other)?;
    remove(connection, other, user)?;
    Ok((BlockAddition::Blocked, (!is_blocked).then_some(Change::Access(user))))
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
        assert_plan(SELECT_FRIEND, &[&["SEARCH friends USING COVERING INDEX ", friend].concat()]);
        assert_plan(SELECT_BLOCK, &[&["SEARCH blocks USING COVERING INDEX ", block].concat()]);
        assert_plan(DELETE_FRIEND, &[&["SEARCH friends USING INDEX ", friend].concat()]);
        assert_plan(DELETE_BLOCK, &[&["SEARCH blocks USING INDEX ", block].concat()]);
        let by_id = "SEARCH users USING PRIMARY KEY (id=?)";
        assert_plan(INSERT_FRIEND, &[by_id, "SEARCH friends USING COVERING INDEX friends_in_order (user=?)"]);
        assert_plan(INSERT_BLOCK, &[by_id, "SEARCH blocks USING COVERING INDEX blocks_in_order (user=?)"]);
    }
}
