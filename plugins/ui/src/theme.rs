//! How everything looks: colours by their role, sizes, type, and egui's own widgets in the same dress.
//!
//! [`install`] once, as soon as there is a context; [`apply`] when somebody wants light or dark; then, wherever something is drawn,
//! [`Palette::of`] for colours and [`Type`] for words. Fonts arrive with the pass after [`install`]: draw nothing before [`ready`].

mod palette;
mod style;

use std::sync::Arc;

use egui::{FontData, FontDefinitions, FontFamily, FontId, RichText, TextStyle, Theme, ThemePreference};

pub use palette::{CHIP, CHIP_GOOD, CHIP_LIVE, CHIP_TEXT, CHIP_WARN, Palette};

/// What everything is a multiple of.
pub const UNIT: f32 = 8.0;
/// Between two things that belong together.
pub const GAP: f32 = 8.0;
/// Between two things that do not.
pub const WIDE_GAP: f32 = 16.0;
/// From the edge of a card to what is in it.
pub const PANEL: f32 = 24.0;
/// From the edge of the window to the page.
pub const PAGE: f32 = 32.0;
/// Corners of buttons and fields.
pub const RADIUS: f32 = 8.0;
/// Corners of cards and pictures.
pub const PANEL_RADIUS: f32 = 12.0;
/// How high a button or a field is.
pub const CONTROL: f32 = 40.0;
/// How high a small button is.
pub const SMALL_CONTROL: f32 = 32.0;
/// How wide a round button is.
pub const ROUND: f32 = 56.0;
/// How long a fade takes, in seconds.
pub const FADE: f32 = 0.12;
/// How wide the ring around what has the focus is.
pub const RING: f32 = 2.0;
/// Below this width screens stack what they otherwise put side by side.
pub const NARROW: f32 = 900.0;

const REGULAR: &str = "inter";
const SEMIBOLD: &str = "inter semibold";
const MONO: &str = "jetbrains mono";
const ICONS: &str = "phosphor";

/// A size and weight of type, after what it is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Type {
    /// The name of a screen.
    Title,
    /// The name of a part of it, and figures that matter.
    Heading,
    /// What stands out in a text.
    Strong,
    /// Text.
    Body,
    /// What a field is for; what is good to know.
    Caption,
    /// Time.
    Mono,
    /// Paths, and figures in columns.
    MonoCaption,
    /// An icon beside text.
    Icon,
    /// An icon alone, on a round button.
    LargeIcon,
}

impl Type {
    /// The font, for a painter.
    #[must_use]
    pub fn font(self) -> FontId {
        let family = match self {
            Self::Title | Self::Heading | Self::Strong => FontFamily::Name(SEMIBOLD.into()),
            Self::Body | Self::Caption => FontFamily::Proportional,
            Self::Mono | Self::MonoCaption => FontFamily::Monospace,
            Self::Icon | Self::LargeIcon => FontFamily::Name(ICONS.into()),
        };
        let size = match self {
            Self::Title | Self::LargeIcon => 24.0,
            Self::Heading => 16.0,
            Self::Strong | Self::Body | Self::Mono => 14.0,
            Self::Caption | Self::MonoCaption => 12.0,
            Self::Icon => 18.0,
        };
        FontId::new(size, family)
    }

    /// From one line to the next, in points.
    #[must_use]
    pub fn line(self) -> f32 {
        match self {
            Self::Title => 32.0,
            Self::Heading | Self::LargeIcon => 24.0,
            Self::Strong | Self::Body | Self::Mono | Self::Icon => 20.0,
            Self::Caption | Self::MonoCaption => 16.0,
        }
    }

    /// Words in it, for a label.
    #[must_use]
    pub fn text(self, words: impl Into<String>) -> RichText {
        RichText::new(words).font(self.font()).line_height(Some(self.line()))
    }
}

/// Gives a context our fonts and both our styles. Once, before anything is drawn.
pub fn install(ctx: &egui::Context) {
    ctx.set_fonts(fonts());
    ctx.set_style_of(Theme::Dark, style::style(&palette::DARK));
    ctx.set_style_of(Theme::Light, style::style(&palette::LIGHT));
}

/// Whether our fonts can be used already. Text in them panics before.
#[must_use]
pub fn ready(ctx: &egui::Context) -> bool {
    ctx.fonts(|fonts| fonts.definitions().font_data.contains_key(SEMIBOLD))
}

/// Light or dark. Cheap when nothing changes.
pub fn apply(ctx: &egui::Context, light: bool) {
    let theme = if light { Theme::Light } else { Theme::Dark };
    if ctx.options(|options| options.theme_preference) != ThemePreference::from(theme) {
        ctx.set_theme(theme);
    }
}

/// Inter and JetBrains Mono as `assets/fonts/make` cut them down, and Phosphor's icons behind each.
fn fonts() -> FontDefinitions {
    let mut fonts = FontDefinitions::empty();
    let mut add = |name: &str, data: FontData| fonts.font_data.insert(name.to_owned(), Arc::new(data));
    add(REGULAR, FontData::from_static(include_bytes!("../../../assets/fonts/Inter-Regular.otf")));
    add(SEMIBOLD, FontData::from_static(include_bytes!("../../../assets/fonts/Inter-SemiBold.otf")));
    add(MONO, FontData::from_static(include_bytes!("../../../assets/fonts/JetBrainsMono-Regular.ttf")));
    add(ICONS, egui_phosphor::Variant::Regular.font_data());

    let order = |names: &[&str]| names.iter().map(|&name| name.to_owned()).collect();
    fonts.families = [
        (FontFamily::Proportional, order(&[REGULAR, ICONS])),
        (FontFamily::Monospace, order(&[MONO, REGULAR, ICONS])),
        (FontFamily::Name(SEMIBOLD.into()), order(&[SEMIBOLD, ICONS])),
        (FontFamily::Name(ICONS.into()), order(&[ICONS, REGULAR])),
    ]
    .into();
    fonts
}

/// What egui's own names for text stand for.
fn text_styles() -> std::collections::BTreeMap<TextStyle, FontId> {
    [
        (TextStyle::Name("title".into()), Type::Title.font()),
        (TextStyle::Heading, Type::Heading.font()),
        (TextStyle::Body, Type::Body.font()),
        (TextStyle::Button, Type::Body.font()),
        (TextStyle::Small, Type::Caption.font()),
        (TextStyle::Monospace, Type::Mono.font()),
    ]
    .into()
}
