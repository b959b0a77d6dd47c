//! Colours, after what they mean.

use egui::Color32;

/// What lies under words that stand on a picture, in light and dark alike: nobody knows how bright a picture is. The window blends light
/// and not code values, so this much of black leaves white a dark grey.
pub const CHIP: Color32 = Color32::from_black_alpha(0xf0);
/// Words on [`CHIP`].
pub const CHIP_TEXT: Color32 = Color32::from_rgb(0xe8, 0xea, 0xf0);
/// [`Palette::good`] on [`CHIP`].
pub const CHIP_GOOD: Color32 = DARK.good;
/// [`Palette::warn`] on [`CHIP`].
pub const CHIP_WARN: Color32 = DARK.warn;
/// [`Palette::live`] on [`CHIP`]; for icons.
pub const CHIP_LIVE: Color32 = Color32::from_rgb(0xff, 0x6b, 0x6d);

/// The colours of a theme. Each one that words may have stands at least 4.5 to 1 against each one that they may stand on.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Palette {
    /// Dark, and not light.
    pub dark: bool,
    /// What everything stands on, and what fields are filled with.
    pub ground: Color32,
    /// Cards.
    pub panel: Color32,
    /// What can be pressed.
    pub raised: Color32,
    /// The same, with the pointer over it.
    pub lifted: Color32,
    /// Outlines and rules.
    pub line: Color32,
    /// Words.
    pub text: Color32,
    /// Words that matter less.
    pub dim: Color32,
    /// Marks that matter less; not for words.
    pub faint: Color32,
    /// What to do next: the focus, links.
    pub accent: Color32,
    /// Under [`Self::on_accent`]: the one primary action of a screen.
    pub accent_fill: Color32,
    /// The same, with the pointer over it.
    pub accent_lifted: Color32,
    /// Words on [`Self::accent_fill`].
    pub on_accent: Color32,
    /// Recording, muted, end; what is lost.
    pub live: Color32,
    /// Under [`Self::on_live`].
    pub live_fill: Color32,
    /// The same, with the pointer over it.
    pub live_lifted: Color32,
    /// Icons on [`Self::live_fill`].
    pub on_live: Color32,
    /// Speaking, in sync, nothing lost.
    pub good: Color32,
    /// Look at it.
    pub warn: Color32,
    /// Under what is good to know, and its outline.
    pub note_tint: (Color32, Color32),
    /// Under what is well.
    pub good_tint: (Color32, Color32),
    /// Under a warning.
    pub warn_tint: (Color32, Color32),
    /// Under an alarm.
    pub live_tint: (Color32, Color32),
}

impl Palette {
    /// The colours that hold where something is drawn.
    #[must_use]
    pub fn of(ui: &egui::Ui) -> &'static Self {
        Self::new(!ui.visuals().dark_mode)
    }

    /// Those of a theme.
    #[must_use]
    pub fn new(light: bool) -> &'static Self {
        if light { &LIGHT } else { &DARK }
    }
}

const fn rgb(hex: u32) -> Color32 {
    let [_, r, g, b] = hex.to_be_bytes();
    Color32::from_rgb(r, g, b)
}

pub(super) const DARK: Palette = Palette {
    dark: true,
    ground: rgb(0x0f1115),
    panel: rgb(0x171a21),
    raised: rgb(0x1f232c),
    lifted: rgb(0x2a2f3a),
    line: rgb(0x2a2f3a),
    text: rgb(0xe8eaf0),
    dim: rgb(0x9aa3b2),
    faint: rgb(0x5f6877),
    accent: rgb(0x5b8cff),
    // White stands 3.2 to 1 against the accent itself.
    accent_fill: rgb(0x3d6be5),
    accent_lifted: rgb(0x3460d6),
    on_accent: rgb(0xffffff),
    live: rgb(0xff4d4f),
    live_fill: rgb(0xdc3236),
    live_lifted: rgb(0xc9282c),
    on_live: rgb(0xffffff),
    good: rgb(0x3ecf8e),
    warn: rgb(0xf5b83d),
    note_tint: (rgb(0x161c2b), rgb(0x2b3a5c)),
    good_tint: (rgb(0x11241d), rgb(0x1d4a38)),
    warn_tint: (rgb(0x231e12), rgb(0x4a3d1c)),
    live_tint: (rgb(0x2a1517), rgb(0x5c262a)),
};

pub(super) const LIGHT: Palette = Palette {
    dark: false,
    ground: rgb(0xf6f7f9),
    panel: rgb(0xffffff),
    raised: rgb(0xeef0f4),
    lifted: rgb(0xe3e6ec),
    line: rgb(0xd9dde5),
    text: rgb(0x14161a),
    dim: rgb(0x4f5968),
    faint: rgb(0x8b94a3),
    accent: rgb(0x2c5ad6),
    accent_fill: rgb(0x2f61e0),
    accent_lifted: rgb(0x2552cc),
    on_accent: rgb(0xffffff),
    live: rgb(0xc4262a),
    live_fill: rgb(0xd9363a),
    live_lifted: rgb(0xc4262a),
    on_live: rgb(0xffffff),
    good: rgb(0x0f6e45),
    warn: rgb(0x855600),
    note_tint: (rgb(0xeef3ff), rgb(0xc7d6fb)),
    good_tint: (rgb(0xe6f6ee), rgb(0xb5dfc9)),
    warn_tint: (rgb(0xfff6e2), rgb(0xecd49a)),
    live_tint: (rgb(0xfdeced), rgb(0xf2bcbe)),
};

#[cfg(test)]
mod tests {
    use super::*;

    /// How much light a colour gives, from 0 to 1, as the Web Content Accessibility Guidelines reckon it.
    fn luminance(colour: Color32) -> f64 {
        let linear = |value: u8| {
            let value = f64::from(value) / 255.0;
            if value <= 0.04045 { value / 12.92 } else { ((value + 0.055) / 1.055).powf(2.4) }
        };
        0.2126 * linear(colour.r()) + 0.7152 * linear(colour.g()) + 0.0722 * linear(colour.b())
    }

    fn contrast(a: Color32, b: Color32) -> f64 {
        contrast_of(luminance(a), luminance(b))
    }

    fn contrast_of(a: f64, b: f64) -> f64 {
        (a.max(b) + 0.05) / (a.min(b) + 0.05)
    }

    #[test]
    fn words_can_be_read_wherever_they_stand() {
        for palette in [&DARK, &LIGHT] {
            let words = [
                ("text", palette.text),
                ("dim", palette.dim),
                ("accent", palette.accent),
                ("live", palette.live),
                ("good", palette.good),
                ("warn", palette.warn),
            ];
            let under = [("ground", palette.ground), ("panel", palette.panel), ("raised", palette.raised)];
            for (word, colour) in words {
                for (name, ground) in under {
                    let contrast = contrast(colour, ground);
                    assert!(contrast >= 4.5, "{word} on {name}: {contrast:.2}, dark {}", palette.dark);
                }
            }
            for (tint, _) in [palette.note_tint, palette.good_tint, palette.warn_tint, palette.live_tint] {
                for colour in
                    [palette.text, palette.dim, palette.good, palette.warn, palette.live, palette.accent]
                {
                    assert!(
                        contrast(colour, tint) >= 4.5,
                        "{colour:?} on {tint:?}: {:.2}",
                        contrast(colour, tint)
                    );
                }
            }
            let fills = [
                (palette.on_accent, palette.accent_fill),
                (palette.on_accent, palette.accent_lifted),
                (palette.on_live, palette.live_fill),
                (palette.on_live, palette.live_lifted),
            ];
            for (word, fill) in fills {
                assert!(contrast(word, fill) >= 4.5, "{fill:?}: {:.2}", contrast(word, fill));
            }
        }
    }

    #[test]
    fn words_on_the_whitest_picture_can_be_read() {
        // Black over white, blended as the window does it.
        let under = 1.0 - f64::from(CHIP.a()) / 255.0;
        for (colour, least) in [(CHIP_TEXT, 4.5), (CHIP_GOOD, 4.5), (CHIP_WARN, 4.5), (CHIP_LIVE, 3.0)] {
            let contrast = contrast_of(luminance(colour), under);
            assert!(contrast >= least, "{colour:?}: {contrast:.2}");
        }
    }
}
