//! Errors in the words of the window: sentences, and without what only a command line has.

use hyperzoom_audio::AudioError;
use hyperzoom_video::VideoError;

/// What a command line would be told, and what the window says instead.
const REPLACED: &[(&str, &str)] = &[
    (", or talk without recording with --no-record", ""),
    (", or pass --no-record", ""),
    (" with --folder", ""),
    (": say where to record with --folder", ": choose a folder for recordings"),
    (", \"tone\" or \"file:PATH\" as the microphone", ""),
    (", or \"file:PATH\" as the loudspeaker", ""),
    ("or choose \"none\"", "or choose none"),
    (": `hyperzoom host` begins one", ""),
    ("; choose `default`, `pattern` or `file:PATH.y4m`", ""),
];

/// A text as a sentence of its own, in the window's words.
pub(super) fn sentence(text: &str) -> String {
    let mut text = text.trim().to_owned();
    for (from, to) in REPLACED {
        text = text.replace(from, to);
    }
    if let Some(first) = text.chars().next() {
        text.replace_range(..first.len_utf8(), &first.to_uppercase().to_string());
    }
    if !text.is_empty() && !text.ends_with(['.', '!', '?']) {
        text.push('.');
    }
    text
}

/// Why a microphone or a loudspeaker does not work, and what to do.
pub(super) fn of_sound(error: &AudioError) -> String {
    match error {
        AudioError::NoDevices { direction, .. } => {
            format!("No {direction} was found. Plug one in, and it is used.")
        }
        AudioError::UnknownDevice { direction, name, .. } => {
            format!("The {direction} \"{name}\" is not there. Plug it in, or choose another.")
        }
        AudioError::AmbiguousDevice { direction, name, .. } => {
            format!("More than one {direction} is called \"{name}\". Choose one of the list.")
        }
        error => sentence(&error.to_string()),
    }
}

/// Why a camera does not work, and what to do.
pub(super) fn of_camera(error: &VideoError) -> String {
    match error {
        VideoError::NotFound { wanted, .. } if wanted == "default" => {
            "No camera was found. Plug one in, or go on without: your voice is recorded.".into()
        }
        VideoError::NotFound { wanted, .. } => {
            format!("The camera \"{wanted}\" is not there. Plug it in, or choose another.")
        }
        error => sentence(&error.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use hyperzoom_audio::Direction;

    use super::*;

    #[test]
    fn a_sentence_begins_large_ends_with_a_stop_and_speaks_of_no_option() {
        assert_eq!(sentence("über alles"), "Über alles.");
        assert_eq!(sentence(" Is it so? "), "Is it so?");
        assert_eq!(sentence(""), "");
        let refused = "cannot record into /x: denied. Choose another folder with --folder, or talk without recording with --no-record";
        assert_eq!(sentence(refused), "Cannot record into /x: denied. Choose another folder.");
        let nothing = hyperzoom_recorder::RecordError::Nothing.to_string();
        assert_eq!(sentence(&nothing), "There is nothing to record: choose a microphone or a camera.");
    }

    #[test]
    fn no_fault_of_a_device_speaks_of_the_command_line() {
        let none = AudioError::NoDevices {
            direction: Direction::Microphone,
            alternative: "\"tone\" or \"file:PATH\" as the microphone",
        };
        for text in [of_sound(&none), sentence(&none.to_string()), of_camera(&VideoError::NoCamera)] {
            assert!(!text.contains("--") && !text.contains("PATH") && !text.contains('`'), "{text}");
        }
        let gone = VideoError::NotFound { wanted: "BRIO".into(), there: "none is plugged in".into() };
        assert_eq!(of_camera(&gone), "The camera \"BRIO\" is not there. Plug it in, or choose another.");
    }
}
