//! egui's own widgets in our dress.

use egui::epaint::{AlphaFromCoverage, TextOptions};
use egui::style::{ScrollStyle, Selection, TextCursorStyle, WidgetVisuals, Widgets};
use egui::{Color32, Margin, Shadow, Stroke, Style, Visuals, vec2};

use super::{CONTROL, FADE, GAP, PANEL_RADIUS, Palette, RADIUS, RING, WIDE_GAP, text_styles};

/// A style for one palette.
pub(super) fn style(palette: &Palette) -> Style {
    let mut style = Style {
        text_styles: text_styles(),
        animation_time: FADE,
        visuals: visuals(palette),
        ..Style::default()
    };
    let spacing = &mut style.spacing;
    spacing.item_spacing = vec2(GAP, GAP);
    spacing.button_padding = vec2(WIDE_GAP, GAP);
    spacing.interact_size = vec2(CONTROL, CONTROL);
    spacing.menu_margin = Margin::same(8);
    spacing.window_margin = Margin::same(16);
    spacing.icon_width = 20.0;
    spacing.icon_width_inner = 10.0;
    spacing.icon_spacing = GAP;
    spacing.slider_rail_height = 6.0;
    spacing.tooltip_width = 320.0;
    spacing.scroll = ScrollStyle { bar_width: 8.0, ..ScrollStyle::floating() };
    // It would lie over the pictures, which are drawn below egui.
    spacing.scroll.fade.strength = 0.0;
    // Where there is more than can be seen, that shows without a pointer near it.
    spacing.scroll.dormant_handle_opacity = 0.4;
    spacing.scroll.floating_width = 4.0;

    style.interaction.selectable_labels = false;
    style.interaction.tooltip_delay = 0.3;
    style
}

fn visuals(palette: &Palette) -> Visuals {
    let base = if palette.dark { Visuals::dark() } else { Visuals::light() };
    let shadow_alpha = if palette.dark { 96 } else { 32 };
    let shadow =
        Shadow { offset: [0, 4], blur: 16, spread: 0, color: Color32::from_black_alpha(shadow_alpha) };
    // The window's target is sRGB and blends light, not code values: dark words come out thinner than egui reckons, and light ones bolder.
    let alpha_from_coverage =
        if palette.dark { AlphaFromCoverage::Linear } else { AlphaFromCoverage::TwoCoverageMinusCoverageSq };
    Visuals {
        text_options: TextOptions { alpha_from_coverage, ..base.text_options },
        widgets: widgets(palette),
        selection: Selection {
            bg_fill: palette.accent_fill.gamma_multiply(if palette.dark { 0.55 } else { 0.25 }),
            stroke: Stroke::new(RING, palette.accent),
        },
        weak_text_color: Some(palette.dim),
        hyperlink_color: palette.accent,
        faint_bg_color: palette.panel,
        extreme_bg_color: palette.ground,
        text_edit_bg_color: Some(palette.ground),
        code_bg_color: palette.raised,
        warn_fg_color: palette.warn,
        error_fg_color: palette.live,
        window_corner_radius: PANEL_RADIUS.into(),
        window_shadow: shadow,
        window_fill: palette.panel,
        window_stroke: Stroke::new(1.0, palette.line),
        menu_corner_radius: RADIUS.into(),
        panel_fill: palette.ground,
        popup_shadow: shadow,
        text_cursor: TextCursorStyle {
            stroke: Stroke::new(2.0, palette.accent),
            ..TextCursorStyle::default()
        },
        slider_trailing_fill: true,
        disabled_alpha: 0.6,
        ..base
    }
}

fn widgets(palette: &Palette) -> Widgets {
    let look = |fill: Color32, stroke: Stroke, text: Color32| WidgetVisuals {
        bg_fill: fill,
        weak_bg_fill: fill,
        bg_stroke: stroke,
        corner_radius: RADIUS.into(),
        fg_stroke: Stroke::new(1.5, text),
        expansion: 0.0,
    };
    let line = Stroke::new(1.0, palette.line);
    Widgets {
        noninteractive: look(palette.panel, line, palette.text),
        inactive: look(palette.raised, line, palette.text),
        hovered: look(palette.lifted, Stroke::new(1.0, palette.faint), palette.text),
        // What has the focus looks like this too, so its outline is the ring.
        active: look(palette.lifted, Stroke::new(RING, palette.accent), palette.text),
        open: look(palette.raised, Stroke::new(1.0, palette.faint), palette.text),
    }
}
