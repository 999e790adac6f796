//! Names and passwords. A hash of bcrypt is slow on purpose: what was found out is remembered, under a key of this process
//! alone, so that a scrape each few seconds costs none.

use std::{
    collections::{BTreeMap, VecDeque},
    sync::{Mutex, PoisonError},
};

use axum::http::HeaderValue;
use base64::{Engine as _, engine::general_purpose::STANDARD};
use ring::hmac;
use subtle::{Choice, ConstantTimeEq as _};

/// Right ones, and wrong ones, that are remembered: one drives the oldest of its own kind out.
const REMEMBERED: [usize; 2] = [256, 64];

/// What has been found out. It outlives a change of the file: the hash is part of what is remembered.
pub(crate) struct Checked {
    key: hmac::Key,
    /// Wrong ones, right ones.
    found: Mutex<[VecDeque<hmac::Tag>; 2]>,
    /// One hash at a time: who asks with many wrong passwords takes one processor, no more.
    turn: tokio::sync::Mutex<()>,
}

impl Default for Checked {
    fn default() -> Self {
        let secret: [u8; 32] = std::array::from_fn(|_| fastrand::u8(..));
        let random = ring::rand::SystemRandom::new();
        // Without the system's random numbers those of the process do: the key guards nothing that is stored.
        let key = hmac::Key::generate(hmac::HMAC_SHA256, &random)
            .unwrap_or_else(|_| hmac::Key::new(hmac::HMAC_SHA256, &secret));
        Self { key, found: Mutex::default(), turn: tokio::sync::Mutex::default() }
    }
}

impl Checked {
    fn tag(&self, user: &str, hash: &str, password: &[u8]) -> hmac::Tag {
        let mut context = hmac::Context::with_key(&self.key);
        for part in [user.as_bytes(), hash.as_bytes(), password] {
            context.update(&(part.len() as u64).to_le_bytes());
            context.update(part);
        }
        context.sign()
    }

    /// Looks through all of them, whichever it is.
    fn known(&self, tag: &hmac::Tag) -> Option<bool> {
        let found = self.found.lock().unwrap_or_else(PoisonError::into_inner);
        let is_among = |tags: &VecDeque<hmac::Tag>| {
            let equal = |sum: Choice, known: &hmac::Tag| sum | known.as_ref().ct_eq(tag.as_ref());
            bool::from(tags.iter().fold(Choice::from(0), equal))
        };
        match (is_among(&found[0]), is_among(&found[1])) {
            (_, true) => Some(true),
            (true, false) => Some(false),
            (false, false) => None,
        }
    }

    fn remember(&self, tag: hmac::Tag, is_right: bool) {
        let mut found = self.found.lock().unwrap_or_else(PoisonError::into_inner);
        let kind = usize::from(is_right);
        if found[kind].len() >= REMEMBERED[kind] {
            found[kind].pop_front();
        }
        found[kind].push_back(tag);
    }
}

/// Who may ask.
pub(super) struct Users {
    hashes: BTreeMap<String, String>,
    /// Checked for a name that nobody has: as dear as the dearest, and nobody's password.
    nobody: String,
}

impl Users {
    /// None where anybody may.
    pub(super) fn of(hashes: BTreeMap<String, String>) -> Option<Self> {
        let cost = |hash: &String| hash.parse::<bcrypt::HashParts>().map_or(4, |parts| parts.get_cost());
        let dearest = hashes.values().map(cost).max()?;
        let nobody = format!("$2b${dearest:02}${}{}", ".".repeat(22), ".".repeat(31));
        Some(Self { hashes, nobody })
    }

    /// Whether a header `Authorization` has a name and its password.
    pub(super) async fn allow(&self, authorization: Option<&HeaderValue>, checked: &Checked) -> bool {
        let Some((user, password)) = authorization.and_then(basic) else { return false };
        let (hash, is_known) = match self.hashes.get(&user) {
            Some(hash) => (hash, true),
            None => (&self.nobody, false),
        };
        let tag = checked.tag(&user, hash, &password);
        if let Some(is_right) = checked.known(&tag) {
            return is_right;
        }
        let _turn = checked.turn.lock().await;
        // Meanwhile the one before may have asked the same.
        if let Some(is_right) = checked.known(&tag) {
            return is_right;
        }
        let hash = hash.clone();
        let matches = tokio::task::spawn_blocking(move || bcrypt::verify(&password, &hash).unwrap_or(false)).await;
        let is_right = matches.unwrap_or(false) && is_known;
        checked.remember(tag, is_right);
        is_right
    }
}

/// Name and password of `Basic ..`.
fn basic(authorization: &HeaderValue) -> Option<(String, Vec<u8>)> {
    let (scheme, encoded) = authorization.to_str().ok()?.split_once(' ')?;
    if !scheme.eq_ignore_ascii_case("basic") {
        return None;
    }
    let decoded = STANDARD.decode(encoded.trim()).ok()?;
    let colon = decoded.iter().position(|&byte| byte == b':')?;
    Some((String::from_utf8(decoded[..colon].to_vec()).ok()?, decoded[colon + 1..].to_vec()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn header(text: &str) -> HeaderValue {
        HeaderValue::try_from(format!("Basic {}", STANDARD.encode(text))).unwrap()
    }

    fn users() -> Users {
        Users::of(BTreeMap::from([("scraper".to_owned(), bcrypt::hash("s3cret", 4).unwrap())])).unwrap()
    }

    #[tokio::test]
    async fn only_the_right_password_of_the_right_name_is_right() {
        let (users, checked) = (users(), Checked::default());
        for _ in 0..2 {
            assert!(users.allow(Some(&header("scraper:s3cret")), &checked).await);
            for wrong in ["scraper:s3cre", "scraper:", "nobody:s3cret", "Scraper:s3cret", ":s3cret", "scraper"] {
                assert!(!users.allow(Some(&header(wrong)), &checked).await, "{wrong}");
            }
        }
        assert!(!users.allow(None, &checked).await);
        let bearer = HeaderValue::from_static("Bearer c2NyYXBlcjpzM2NyZXQ=");
        assert!(!users.allow(Some(&bearer), &checked).await);
        let found = checked.found.lock().unwrap();
        assert_eq!([found[0].len(), found[1].len()], [5, 1], "once each");
    }

    #[test]
    fn the_hash_of_nobody_is_one_that_is_checked_in_full() {
        let parts: bcrypt::HashParts = users().nobody.parse().unwrap();
        assert_eq!(parts.get_cost(), 4);
        assert_eq!(bcrypt::verify("", &users().nobody).ok(), Some(false));
    }

    #[tokio::test]
    async fn wrong_ones_drive_out_none_that_are_right() {
        let (users, checked) = (users(), Checked::default());
        assert!(users.allow(Some(&header("scraper:s3cret")), &checked).await);
        for n in 0..REMEMBERED[0] + 5 {
            assert!(!users.allow(Some(&header(&format!("scraper:{n}"))), &checked).await);
        }
        let found = checked.found.lock().unwrap();
        assert_eq!([found[0].len(), found[1].len()], [REMEMBERED[0], 1]);
    }

    #[tokio::test]
    async fn a_new_hash_is_another_question() {
        let checked = Checked::default();
        assert!(users().allow(Some(&header("scraper:s3cret")), &checked).await);
        let changed = Users::of(BTreeMap::from([("scraper".to_owned(), bcrypt::hash("other", 4).unwrap())])).unwrap();
        assert!(!changed.allow(Some(&header("scraper:s3cret")), &checked).await);
    }
}
