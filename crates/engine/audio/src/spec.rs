//! What a person writes to choose a microphone or a loudspeaker.

use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;

use crate::devices::SoundHost;

/// Which microphone or loudspeaker to use, as it is written on the command line.
///
/// `default`, `none`, `tone` (440 Hz), `tone:HZ`, `pips`, `pips@PPM`, `file:PATH`, or a part of a device's name; in front of `default` or of a name
/// there may be the sound host: `pulse:`, `jack:`, `alsa:`. A name that looks like one of the words is reached with its host in
/// front (`pulse:none`).
#[derive(Debug, Clone, PartialEq)]
pub enum SoundSpec {
    /// The device that the host calls its default.
    Default {
        /// The host; `None` is the first that answers.
        host: Option<SoundHost>,
    },
    /// The device whose node name or description contains `name`, whatever the case of its letters.
    ///
    /// JACK has clients where others have devices: there `name` becomes the name of ours, and connecting it is left to whoever
    /// chose the name.
    Device {
        /// The host; `None` looks through those that answer.
        host: Option<SoundHost>,
        /// A part of the device's name, never empty.
        name: String,
    },
    /// Nothing: a microphone that hears silence, or a loudspeaker that plays to nobody.
    None,
    /// A microphone that hears a sine wave of this frequency, in Hz.
    Tone(f32),
    /// A microphone that hears a pip at every second of this computer's clock, as every other one on the computer does, through a device whose
    /// own clock is so many parts per million too fast. For tests of what keeps recordings together.
    Pips(f32),
    /// A microphone that plays this WAV file over and over, or a loudspeaker that writes what it plays into this WAV file.
    File(PathBuf),
}

/// A [`SoundSpec`] does not parse.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SpecError {
    /// There was nothing in it.
    #[error(
        "the name of the sound device is empty; write \"default\", \"none\", \"tone\", \"file:PATH\" or part of a device's name"
    )]
    Empty,
    /// The frequency of a tone is no number, or cannot be heard at 48 kHz.
    #[error(
        "\"{0}\" is no frequency of a tone; write a number of Hz between 1 and 20000, as in \"tone:440\""
    )]
    Frequency(String),
    /// The clock of a device is off by nonsense.
    #[error(
        "\"{0}\" is no error of a clock; write parts per million between -1000 and 1000, as in \"pips@-300\""
    )]
    Ppm(String),
    /// `file:` without a path.
    #[error("\"file:\" lacks the file's path, as in \"file:voice.wav\"")]
    NoPath,
    /// A loudspeaker cannot be a tone.
    #[error(
        "a loudspeaker cannot be a tone; write \"default\", \"none\", \"file:PATH\" or part of a device's name"
    )]
    ToneSpeaker,
}

/// The frequency of `tone` where none is given, in Hz: concert pitch.
const DEFAULT_TONE_HZ: f32 = 440.0;

impl FromStr for SoundSpec {
    type Err = SpecError;

    fn from_str(text: &str) -> Result<Self, SpecError> {
        let text = text.trim();
        if let Some(("pips", ppm)) = text.split_once('@') {
            return match ppm.parse() {
                Ok(ppm) if (-1000.0..=1000.0).contains(&ppm) => Ok(Self::Pips(ppm)),
                _ => Err(SpecError::Ppm(ppm.to_owned())),
            };
        }
        let (word, rest) = match text.split_once(':') {
            Some((word, rest)) => (word, Some(rest)),
            None => (text, None),
        };
        match (word.to_ascii_lowercase().as_str(), rest) {
            ("", None) => Err(SpecError::Empty),
            ("default", None) => Ok(Self::Default { host: None }),
            ("none", None) => Ok(Self::None),
            ("pips", None) => Ok(Self::Pips(0.0)),
            ("tone", None) => Ok(Self::Tone(DEFAULT_TONE_HZ)),
            ("tone", Some(hz)) => match hz.trim().parse() {
                Ok(hz) if (1.0..=20_000.0).contains(&hz) => Ok(Self::Tone(hz)),
                _ => Err(SpecError::Frequency(hz.to_owned())),
            },
            ("file", Some("")) => Err(SpecError::NoPath),
            ("file", Some(path)) => Ok(Self::File(path.into())),
            (word, Some(name)) if SoundHost::from_prefix(word).is_some() => {
                let host = SoundHost::from_prefix(word);
                match name.trim() {
                    "" | "default" => Ok(Self::Default { host }),
                    name => Ok(Self::Device { host, name: name.to_owned() }),
                }
            }
            _ => Ok(Self::Device { host: None, name: text.to_owned() }),
        }
    }
}

impl fmt::Display for SoundSpec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Default { host: None } => f.write_str("default"),
            Self::Default { host: Some(host) } => write!(f, "{}:default", host.prefix()),
            Self::Device { host: None, name } => f.write_str(name),
            Self::Device { host: Some(host), name } => write!(f, "{}:{name}", host.prefix()),
            Self::None => f.write_str("none"),
            Self::Tone(hz) => write!(f, "tone:{hz}"),
            Self::Pips(0.0) => f.write_str("pips"),
            Self::Pips(ppm) => write!(f, "pips@{ppm}"),
            Self::File(path) => write!(f, "file:{}", path.display()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> SoundSpec {
        text.parse().unwrap()
    }

    fn device(host: Option<SoundHost>, name: &str) -> SoundSpec {
        SoundSpec::Device { host, name: name.to_owned() }
    }

    #[test]
    fn the_words_mean_what_they_say() {
        assert_eq!(parse("default"), SoundSpec::Default { host: None });
        assert_eq!(parse(" None "), SoundSpec::None);
        assert_eq!(parse("tone"), SoundSpec::Tone(440.0));
        assert_eq!(parse("tone:997.5"), SoundSpec::Tone(997.5));
        assert_eq!(parse("pips"), SoundSpec::Pips(0.0));
        assert_eq!(parse("pips@-300"), SoundSpec::Pips(-300.0));
        assert_eq!(parse("file:/tmp/a:b.wav"), SoundSpec::File("/tmp/a:b.wav".into()));
    }

    #[test]
    fn anything_else_is_a_name_with_or_without_its_host() {
        assert_eq!(parse("Scarlett 2i2"), device(None, "Scarlett 2i2"));
        assert_eq!(parse("Built-in: rear"), device(None, "Built-in: rear"));
        assert_eq!(parse("pulse:micA.monitor"), device(Some(SoundHost::Pulse), "micA.monitor"));
        assert_eq!(parse("alsa:hw:CARD=2"), device(Some(SoundHost::Alsa), "hw:CARD=2"));
        assert_eq!(parse("JACK:talker"), device(Some(SoundHost::Jack), "talker"));
        assert_eq!(parse("pulse:none"), device(Some(SoundHost::Pulse), "none"));
        assert_eq!(parse("jack:"), SoundSpec::Default { host: Some(SoundHost::Jack) });
    }

    #[test]
    fn what_makes_no_sense_is_refused() {
        assert_eq!("".parse::<SoundSpec>(), Err(SpecError::Empty));
        for hz in ["tone:", "tone:loud", "tone:0", "tone:-3", "tone:30000", "tone:NaN", "tone:inf"] {
            assert!(matches!(hz.parse::<SoundSpec>(), Err(SpecError::Frequency(_))), "{hz}");
        }
        for ppm in ["pips@", "pips@fast", "pips@2000", "pips@NaN"] {
            assert!(matches!(ppm.parse::<SoundSpec>(), Err(SpecError::Ppm(_))), "{ppm}");
        }
        assert_eq!("file:".parse::<SoundSpec>(), Err(SpecError::NoPath));
    }

    #[test]
    fn what_is_printed_parses_to_the_same() {
        for text in [
            "default",
            "none",
            "tone:440",
            "pips",
            "pips@-300",
            "file:a.wav",
            "Scarlett",
            "pulse:x",
            "jack:default",
        ] {
            let spec = parse(text);
            assert_eq!(spec.to_string(), text);
            assert_eq!(parse(&spec.to_string()), spec);
        }
    }
}
