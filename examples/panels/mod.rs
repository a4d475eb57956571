//! Figures over time, one panel below the other, as an SVG.

use std::fmt::Write;

/// A figure over time; what isn't finite leaves a gap.
pub struct Panel {
    pub name: &'static str,
    pub values: Vec<f64>,
}

/// The panels below a title, all over the same time, which ends with `end`. A share of it, from and to, may be shaded.
pub fn svg(title: &str, panels: &[Panel], end: &str, shaded: Option<(f64, f64)>) -> String {
    const WIDTH: f64 = 640.0;
    const HEIGHT: f64 = 90.0;
    const LEFT: f64 = 150.0;
    let mut text = String::new();
    let mut line = |words: std::fmt::Arguments| writeln!(text, "{words}").expect("memory");
    for (i, Panel { name, values }) in panels.iter().enumerate() {
        let bottom = 30.0 + i as f64 * (HEIGHT + 30.0) + HEIGHT;
        let finite = values.iter().copied().filter(|x| x.is_finite());
        let most = finite.fold(1.0, f64::max);
        if let Some((from, to)) = shaded {
            line(format_args!(
                r##"<rect x="{:.1}" y="{:.1}" width="{:.1}" height="{HEIGHT}" fill="#f4c7c3"/>"##,
                LEFT + from * WIDTH,
                bottom - HEIGHT,
                (to - from) * WIDTH,
            ));
        }
        let label = |y: f64, text: &str| {
            format!(
                r#"<text x="{}" y="{y:.1}" text-anchor="end">{text}</text>"#,
                LEFT - 8.0
            )
        };
        line(format_args!("{}", label(bottom - HEIGHT / 2.0, name)));
        line(format_args!(
            "{}",
            label(bottom - HEIGHT + 10.0, &format!("{most:.0}"))
        ));
        line(format_args!("{}", label(bottom, "0")));
        line(format_args!(
            r##"<path d="M{LEFT} {bottom:.1}H{}" stroke="#888"/>"##,
            LEFT + WIDTH
        ));
        let (mut path, mut pen) = (String::new(), 'M');
        for (at, value) in values.iter().enumerate() {
            if value.is_finite() {
                let x = LEFT + (at as f64 + 0.5) * WIDTH / values.len() as f64;
                let y = bottom - value / most * HEIGHT;
                write!(path, "{pen}{x:.1} {y:.1}").expect("memory");
                pen = 'L';
            } else {
                pen = 'M';
            }
        }
        line(format_args!(
            r##"<path d="{path}" fill="none" stroke="#1a7f5a" stroke-width="1.5"/>"##
        ));
    }
    let height = 30.0 + panels.len() as f64 * (HEIGHT + 30.0) + 20.0;
    format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {} {height}\" font-family=\"sans-serif\" font-size=\"11\">\n\
         <rect width=\"100%\" height=\"100%\" fill=\"#fff\"/>\n\
         <text x=\"{LEFT}\" y=\"18\" font-weight=\"bold\">{title}</text>\n\
         {text}<text x=\"{}\" y=\"{}\" text-anchor=\"end\">{end}</text>\n</svg>\n",
        LEFT + WIDTH + 20.0,
        LEFT + WIDTH,
        height - 24.0,
    )
}
