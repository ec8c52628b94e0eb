//! A convolution or its input gradient as grids of pixels, each fed by the same taps.
//!
//! In a padded channels-last image the taps of one kernel row are one contiguous run of
//! `kw * c_in` floats, so a pixel is a sum over few long runs, times packed weights.
//! Strides, dilation and groups only change where the runs start and how long they are.
//! The input gradient of a strided convolution is one grid per phase: input pixels with
//! the same remainder see the same taps.

use super::shape::ConvShape;

/// Output pixels that share their taps. Offsets and pitches count floats.
#[derive(Debug, Clone)]
pub(crate) struct Grid {
    pub rows: usize,
    pub cols: usize,
    /// Offset of the first pixel's window in the padded image.
    pub in_base: usize,
    /// From one row's windows to the next's, and from one pixel's window to the next's.
    pub in_row: usize,
    pub in_col: usize,
    /// Offset of the first pixel in the output.
    pub out_base: usize,
    /// From one row of pixels to the next, and from one pixel to the next.
    pub out_row: usize,
    pub out_col: usize,
    /// Where each run starts, from the window's start.
    pub runs: Vec<usize>,
    /// Floats of a run.
    pub run_len: usize,
    /// Row of the packed weights with which each run begins.
    pub first_rows: Vec<usize>,
    /// Kernel positions `kh * kernel width + kw` in the order of the runs.
    pub taps: Vec<usize>,
}

/// How a source image is laid into padded scratch.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Padding {
    /// Row and column of the first source pixel; negative if the source is cropped.
    pub top: isize,
    pub left: isize,
    /// Size of the padded image in pixels.
    pub rows: usize,
    pub cols: usize,
}

/// How one image (or a band of its rows) is computed.
#[derive(Debug, Clone)]
pub(crate) struct Program {
    /// Source image `[h, w, channels]`.
    pub source: [usize; 3],
    pub padding: Padding,
    /// Floats between padded images.
    pub gap: usize,
    /// True if nothing is padded, so that the source can be read where it is.
    pub in_place: bool,
    pub grids: Vec<Grid>,
    pub groups: usize,
    /// Source channels of a group.
    pub c_source: usize,
    /// Output channels of a group.
    pub c_output: usize,
    /// Floats of an output image (or band).
    pub output_len: usize,
    /// True if all grids read the same packed weights, which have all kernel positions in order.
    pub shares_weights: bool,
}

impl Program {
    /// The forward pass for bands of `rows` output rows; whole images: `rows = out_h`.
    pub fn forward(s: &ConvShape, rows: usize) -> Self {
        let [kh, kw] = s.kernel_size;
        let [dh, dw] = s.dilation;
        let ow = s.out_w();
        let in_place = s.pads == [0; 4];
        let cols = (ow - 1) * s.stride[1] + (kw - 1) * dw + 1;
        let padding = Padding {
            top: s.pads[0] as isize,
            left: s.pads[1] as isize,
            rows: (rows - 1) * s.stride[0] + (kh - 1) * dh + 1,
            cols: if in_place { s.w } else { cols },
        };
        let (c, c_group) = (s.c_in, s.c_in / s.groups);
        let row = padding.cols * c;
        let lines = (0..kh).map(|y| (y * dh, y)).collect::<Vec<_>>();
        let points = (0..kw).map(|x| (x * dw, x)).collect::<Vec<_>>();
        let (runs, run_len, taps) = runs(&lines, &points, row, c, c_group, kw);
        let grid = Grid {
            rows,
            cols: ow,
            in_base: 0,
            in_row: s.stride[0] * row,
            in_col: s.stride[1] * c,
            out_base: 0,
            out_row: ow * s.c_out,
            out_col: s.c_out,
            first_rows: sequence(&runs, run_len),
            runs,
            run_len,
            taps,
        };
        Self {
            source: [s.h, s.w, c],
            padding,
            gap: 0,
            in_place,
            grids: vec![grid],
            groups: s.groups,
            c_source: c_group,
            c_output: s.c_out / s.groups,
            output_len: rows * ow * s.c_out,
            shares_weights: false,
        }
    }

    /// The input gradient of whole images, from `dy` to `dx`.
    pub fn input_gradient(s: &ConvShape) -> Self {
        let (oh, ow) = (s.out_h(), s.out_w());
        let phases_y = phases(s, 0, s.h);
        let phases_x = phases(s, 1, s.w);
        let (top, bottom) = reach(&phases_y);
        let (left, right) = reach(&phases_x);
        // Nothing may be cropped, because the weight gradient reads all of dy from this scratch.
        let (top, left) = (top.max(0), left.max(0));
        let padding = Padding {
            top,
            left,
            rows: (bottom.max(oh as isize - 1) + top + 1) as usize,
            cols: (right.max(ow as isize - 1) + left + 1) as usize,
        };
        let (c, c_group) = (s.c_out, s.c_out / s.groups);
        let row = padding.cols * c;
        let mut grids = Vec::new();
        for py in &phases_y {
            for px in &phases_x {
                let (y0, x0) = (py.first(), px.first());
                let lines = py.relative();
                let points = px.relative();
                let kw = s.kernel_size[1];
                let (runs, run_len, taps) = runs(&lines, &points, row, c, c_group, kw);
                let base = |first: isize, pad: isize| (first + pad) as usize;
                grids.push(Grid {
                    rows: py.count,
                    cols: px.count,
                    in_base: if runs.is_empty() {
                        0
                    } else {
                        base(y0, top) * row + base(x0, left) * c
                    },
                    in_row: row,
                    in_col: c,
                    out_base: (py.start * s.w + px.start) * s.c_in,
                    out_row: s.stride[0] * s.w * s.c_in,
                    out_col: s.stride[1] * s.c_in,
                    first_rows: sequence(&runs, run_len),
                    runs,
                    run_len,
                    taps,
                });
            }
        }
        Self {
            source: [oh, ow, c],
            padding,
            gap: 0,
            in_place: false,
            grids,
            groups: s.groups,
            c_source: c_group,
            c_output: s.c_in / s.groups,
            output_len: s.h * s.w * s.c_in,
            shares_weights: false,
        }
    }

    /// Floats of the source image.
    pub fn source_len(&self) -> usize {
        self.source.iter().product()
    }

    /// Floats of the padded image, and between it and the next.
    pub fn padded_len(&self) -> usize {
        self.padding.rows * self.padding.cols * self.source[2] + self.gap
    }
}

/// First rows of runs whose weights lie behind each other.
fn sequence(runs: &[usize], run_len: usize) -> Vec<usize> {
    (0..runs.len()).map(|run| run * run_len).collect()
}

/// Input pixels `start, start + stride, ...` of one axis and the taps they see.
struct Phase {
    start: usize,
    count: usize,
    /// Offset in `dy` from the number of the pixel within the phase, and kernel position;
    /// ascending.
    taps: Vec<(isize, usize)>,
}

impl Phase {
    fn first(&self) -> isize {
        self.taps.first().map_or(0, |t| t.0)
    }

    fn relative(&self) -> Vec<(usize, usize)> {
        self.taps
            .iter()
            .map(|&(offset, k)| ((offset - self.first()) as usize, k))
            .collect()
    }
}

/// The phases of an axis. Output pixel o sees input pixel i = o · stride + k · dilation - pad
/// through tap k.
fn phases(s: &ConvShape, axis: usize, size: usize) -> Vec<Phase> {
    let (stride, dilation) = (s.stride[axis] as isize, s.dilation[axis] as isize);
    let pad = s.pads[axis] as isize;
    (0..s.stride[axis].min(size))
        .map(|start| {
            let mut taps: Vec<(isize, usize)> = (0..s.kernel_size[axis])
                .filter_map(|k| {
                    let distance = start as isize + pad - k as isize * dilation;
                    (distance % stride == 0).then_some((distance / stride, k))
                })
                .collect();
            taps.sort_unstable();
            Phase {
                start,
                count: (size - start).div_ceil(s.stride[axis]),
                taps,
            }
        })
        .collect()
}

/// How many pixels of `dy` are needed before the first one, and the index of the last.
fn reach(phases: &[Phase]) -> (isize, isize) {
    let mut before = 0;
    let mut last = 0;
    for phase in phases {
        for &(offset, _) in &phase.taps {
            before = before.max(-offset);
            last = last.max(offset + phase.count as isize - 1);
        }
    }
    (before, last)
}

/// Starts of the runs, their length, and the taps in their order.
///
/// `lines` and `points` are (offset in pixels, kernel position). Neighbouring points
/// merge into one run, unless groups lie between their channels.
fn runs(
    lines: &[(usize, usize)],
    points: &[(usize, usize)],
    row: usize,
    c: usize,
    c_group: usize,
    kernel_width: usize,
) -> (Vec<usize>, usize, Vec<usize>) {
    let adjacent = points.windows(2).all(|pair| pair[1].0 == pair[0].0 + 1);
    let merge = c == c_group && adjacent && !points.is_empty();
    let mut starts = Vec::new();
    let mut taps = Vec::new();
    for &(line, ky) in lines {
        for (i, &(point, kx)) in points.iter().enumerate() {
            if !merge || i == 0 {
                starts.push(line * row + point * c);
            }
            taps.push(ky * kernel_width + kx);
        }
    }
    (starts, if merge { points.len() * c } else { c_group }, taps)
}
