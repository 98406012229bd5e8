//! Plots, as SVG.

use anyhow::{Result, anyhow};
use plotters::coord::Shift;
use plotters::coord::ranged1d::{AsRangedCoord, Ranged, ValueFormatter};
use plotters::prelude::*;

/// Curves over two axes.
#[derive(Clone, Debug)]
pub(crate) struct Plot {
    pub(crate) title: String,
    pub(crate) x: Axis,
    pub(crate) y: Axis,
    pub(crate) series: Vec<Series>,
}

/// An axis and what of it is shown.
#[derive(Clone, Debug)]
pub(crate) struct Axis {
    pub(crate) label: String,
    pub(crate) scale: Scale,
    /// The least and the greatest value; above 0 where the scale is logarithmic.
    pub(crate) range: (f64, f64),
}

/// How an axis is divided.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Scale {
    /// Evenly.
    Linear,
    /// By powers of ten.
    Logarithmic,
}

/// Points, joined by a line.
#[derive(Clone, Debug)]
pub(crate) struct Series {
    pub(crate) name: String,
    pub(crate) mark: Mark,
    pub(crate) points: Vec<Point>,
}

/// How a series is drawn.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Mark {
    /// A line with a dot and a whisker at each point.
    Dots,
    /// A dashed line alone: something to compare with.
    Dashes,
}

/// A mean and how far it spreads either way.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Point {
    pub(crate) x: f64,
    pub(crate) y: f64,
    pub(crate) spread: f64,
}

impl Plot {
    /// The SVG of the plot.
    pub(crate) fn svg(&self) -> Result<String> {
        let mut text = String::new();
        {
            let area = SVGBackend::with_string(&mut text, (720, 440)).into_drawing_area();
            let (x, y) = (
                self.x.range.0..self.x.range.1,
                self.y.range.0..self.y.range.1,
            );
            let drawn = match (self.x.scale, self.y.scale) {
                (Scale::Linear, Scale::Linear) => self.draw(&area, x, y),
                (Scale::Logarithmic, Scale::Linear) => self.draw(&area, x.log_scale(), y),
                (Scale::Linear, Scale::Logarithmic) => self.draw(&area, x, y.log_scale()),
                (Scale::Logarithmic, Scale::Logarithmic) => {
                    self.draw(&area, x.log_scale(), y.log_scale())
                }
            };
            // The backend's own error is not Sync.
            drawn.map_err(|error| anyhow!("drawing {}: {error}", self.title))?;
        }
        Ok(text)
    }

    fn draw<X, Y>(
        &self,
        area: &DrawingArea<SVGBackend<'_>, Shift>,
        x: X,
        y: Y,
    ) -> Result<(), Box<dyn std::error::Error>>
    where
        X: AsRangedCoord<Value = f64, CoordDescType: Ranged<ValueType = f64> + ValueFormatter<f64>>,
        Y: AsRangedCoord<Value = f64, CoordDescType: Ranged<ValueType = f64> + ValueFormatter<f64>>,
    {
        area.fill(&WHITE)?;
        let mut chart = ChartBuilder::on(area)
            .caption(&self.title, ("sans-serif", 18))
            .margin(12)
            .x_label_area_size(42)
            .y_label_area_size(58)
            .build_cartesian_2d(x, y)?;
        chart
            .configure_mesh()
            .light_line_style(WHITE)
            .x_desc(&self.x.label)
            .y_desc(&self.y.label)
            .x_label_formatter(&|value| number(*value))
            .y_label_formatter(&|value| number(*value))
            .label_style(("sans-serif", 13))
            .draw()?;
        for (place, series) in self.series.iter().enumerate() {
            let colour = Palette99::pick(place).to_rgba();
            let line = series.points.iter().map(|point| (point.x, point.y));
            let drawn = match series.mark {
                Mark::Dots => chart.draw_series(LineSeries::new(line, colour.stroke_width(2)))?,
                Mark::Dashes => {
                    chart.draw_series(DashedLineSeries::new(line, 6, 4, colour.stroke_width(2)))?
                }
            };
            drawn.label(&series.name).legend(move |(x, y)| {
                PathElement::new(vec![(x, y), (x + 18, y)], colour.stroke_width(2))
            });
            if series.mark == Mark::Dots {
                let points = series.points.iter();
                chart.draw_series(points.clone().map(|point| {
                    let (low, high) = (point.y - point.spread, point.y + point.spread);
                    ErrorBar::new_vertical(point.x, low, point.y, high, colour.filled(), 8)
                }))?;
            }
        }
        chart
            .configure_series_labels()
            .position(SeriesLabelPosition::LowerRight)
            .background_style(WHITE.mix(0.8))
            .border_style(BLACK.mix(0.3))
            .label_font(("sans-serif", 13))
            .draw()?;
        area.present()?;
        Ok(())
    }
}

/// A tick's number without digits that say nothing.
fn number(value: f64) -> String {
    let text = format!("{value:.3}");
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plot(scale: Scale) -> Plot {
        let axis = |label: &str| Axis {
            label: label.to_owned(),
            scale,
            range: (0.1, 10.0),
        };
        let series = |name: &str, mark| Series {
            name: name.to_owned(),
            mark,
            points: [(0.5, 1.0), (5.0, 2.0)]
                .map(|(x, y)| Point { x, y, spread: 0.1 })
                .to_vec(),
        };
        Plot {
            title: "accuracy & more".to_owned(),
            x: axis("ε"),
            y: axis("accuracy"),
            series: vec![
                series("federated", Mark::Dots),
                series("pooled", Mark::Dashes),
            ],
        }
    }

    #[test]
    fn a_plot_is_an_svg_with_its_labels_and_series_on_either_scale() {
        for scale in [Scale::Linear, Scale::Logarithmic] {
            let svg = plot(scale).svg().unwrap();
            assert!(svg.starts_with("<svg") && svg.trim_end().ends_with("</svg>"));
            for text in ["accuracy &amp; more", "ε", "federated", "pooled"] {
                assert!(svg.contains(text), "{text}");
            }
            assert!(svg.contains("<circle"), "dots");
        }
    }

    #[test]
    fn ticks_have_no_idle_digits() {
        assert_eq!(
            [0.5, 1.0, 10.0, 0.675].map(number),
            ["0.5", "1", "10", "0.675"]
        );
    }
}
