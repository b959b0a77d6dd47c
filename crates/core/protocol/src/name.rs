//! Names that people gave themselves.

use std::fmt;

use serde::{Deserialize, Serialize};

/// A participant's name as others see it: 1 to 64 bytes of UTF-8 without control characters, so that it can be printed
/// to a terminal or drawn without a second thought.
#[derive(Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(into = "String", try_from = "&str")]
pub struct Name(String);

/// Why some text is not a [`Name`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum NameError {
    /// It is empty.
    #[error("a name needs at least one visible character")]
    Empty,
    /// It is too long.
    #[error("a name has at most 64 bytes")]
    Long,
    /// It has characters that move the cursor or turn the writing direction.
    #[error("a name has no control characters")]
    Control,
}

impl Name {
    /// The longest name, in bytes.
    pub const MAX_LEN: usize = 64;

    /// A name made of what is usable in `text`: control characters go, spaces around it go, the end goes where it is
    /// too long. `Guest` where nothing is left.
    #[must_use]
    pub fn clean(text: &str) -> Self {
        let mut name = String::new();
        for c in text.chars().filter(|&c| is_plain(c)) {
            if name.len() + c.len_utf8() > Self::MAX_LEN {
                break;
            }
            if !(name.is_empty() && c.is_whitespace()) {
                name.push(c);
            }
        }
        name.truncate(name.trim_end().len());
        if name.is_empty() {
            name.push_str("Guest");
        }
        Self(name)
    }

    /// The name's text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl TryFrom<&str> for Name {
    type Error = NameError;

    fn try_from(text: &str) -> Result<Self, NameError> {
        if text.len() > Self::MAX_LEN {
            Err(NameError::Long)
        } else if !text.chars().all(is_plain) {
            Err(NameError::Control)
        } else if text.trim().is_empty() {
            Err(NameError::Empty)
        } else {
            Ok(Self(text.to_owned()))
        }
    }
}

/// Neither a control character nor one that reorders or hides its neighbours (all of Unicode's bidirectional controls, line
/// and paragraph separators, invisible spaces, annotation marks).
fn is_plain(c: char) -> bool {
    let hidden = matches!(
        c,
        '\u{061C}'
            | '\u{180E}'
            | '\u{200B}'..='\u{200F}'
            | '\u{2028}'..='\u{202E}'
            | '\u{2060}'..='\u{206F}'
            | '\u{FEFF}'
            | '\u{FFF9}'..='\u{FFFB}'
    );
    !c.is_control() && !hidden
}

impl From<Name> for String {
    fn from(name: Name) -> Self {
        name.0
    }
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.0, f)
    }
}
