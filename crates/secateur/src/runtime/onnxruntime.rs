//! Models in ONNX Runtime, which is looked for when the program runs.
//!
//! The caller or `ORT_DYLIB_PATH` names its library (left empty, none is used); else it is that of
//! the package `onnxruntime` of the Python at hand. One that is missing or too old is not used. A
//! process loads one library.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;
use std::time::{Duration, Instant};

use half::{bf16, f16};
use ort::environment::Environment;
use ort::logging::LogLevel;
use ort::session::{Session, SessionInputValue};
use ort::value::{DynValue, Tensor, TensorElementType};
use secateur_onnx::model::Model;

use super::panics::caught;
use super::{Element, Feed, Inference, Output, Runtime, profile, threads_text};

/// The library as it was loaded, and the threads of a session.
pub(super) struct OnnxRuntime {
    library: &'static Library,
    threads: usize,
}

struct Library {
    environment: Environment,
    version: String,
}

/// What was looked for first, and what was found: a process loads one library.
struct Search {
    named: Option<PathBuf>,
    found: Result<Library, String>,
}

/// A model ready to run.
struct Loaded {
    session: Session,
    inputs: Vec<(String, DynValue)>,
}

impl OnnxRuntime {
    /// The library that is named, or the one at hand.
    ///
    /// # Errors
    /// Why there is none.
    pub(super) fn find(named: Option<&Path>, threads: usize) -> Result<Self, String> {
        static SEARCH: OnceLock<Search> = OnceLock::new();
        let search = SEARCH.get_or_init(|| Search {
            named: named.map(Path::to_path_buf),
            found: load(named),
        });
        if search.named.as_deref() != named {
            return Err("another library of it was looked for before".to_string());
        }
        let library = search.found.as_ref().map_err(Clone::clone)?;
        Ok(Self { library, threads })
    }
}

fn load(named: Option<&Path>) -> Result<Library, String> {
    let file = library_file(named)?;
    let library = caught(|| open(&file))?;
    tracing::info!("ONNX Runtime {} from {}", library.version, file.display());
    Ok(library)
}

/// Path of the library.
fn library_file(named: Option<&Path>) -> Result<PathBuf, String> {
    let file = |path: PathBuf, who: &str| match path.is_file() {
        true => Ok(path),
        false => Err(format!("{who} names no file: `{}`", path.display())),
    };
    if let Some(path) = named {
        return file(path.to_path_buf(), "its library");
    }
    if let Some(path) = std::env::var_os("ORT_DYLIB_PATH") {
        return file(PathBuf::from(path), "`ORT_DYLIB_PATH`");
    }
    let folder = python_package()?.join("capi");
    let entries = fs_err::read_dir(&folder).map_err(text)?;
    let files = entries.filter_map(|entry| Some(entry.ok()?.path()));
    let is_library = |file: &PathBuf| {
        let name = file.file_name().unwrap_or_default().to_string_lossy();
        [
            "libonnxruntime.so",
            "libonnxruntime.dylib",
            "onnxruntime.dll",
        ]
        .iter()
        .any(|stem| name.starts_with(stem))
            || (name.starts_with("libonnxruntime.") && name.ends_with(".dylib"))
    };
    files
        .filter(is_library)
        .max()
        .ok_or_else(|| format!("no library of it in `{}`", folder.display()))
}

/// Folder of Python's package, without importing it.
fn python_package() -> Result<PathBuf, String> {
    const SCRIPT: &str = "import importlib.util as u; s = u.find_spec('onnxruntime'); \
                          print(s.submodule_search_locations[0] if s else '')";
    for python in ["python3", "python"] {
        let Ok(output) = Command::new(python).args(["-c", SCRIPT]).output() else {
            continue;
        };
        let folder = String::from_utf8_lossy(&output.stdout).trim().to_string();
        if output.status.success() && !folder.is_empty() {
            return Ok(PathBuf::from(folder));
        }
    }
    Err("no Python at hand has the package `onnxruntime`".to_string())
}

fn open(file: &Path) -> Result<Library, String> {
    let environment = ort::init_from(file).map_err(text)?;
    let environment = environment.with_telemetry(false).build().map_err(text)?;
    environment.set_log_level(LogLevel::Fatal);
    // `libonnxruntime.so.1.32.0`
    let name = file.file_name().unwrap_or_default().to_string_lossy();
    let version = name.trim_start_matches(|c: char| !c.is_ascii_digit());
    Ok(Library {
        environment,
        version: version.trim_end_matches(".dylib").to_string(),
    })
}

fn text(error: impl std::fmt::Display) -> String {
    // Its messages run over several lines.
    let text = error.to_string();
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

impl Runtime for OnnxRuntime {
    fn describe(&self) -> String {
        let threads = threads_text(self.threads);
        match self.library.version.as_str() {
            "" => format!("ONNX Runtime, {threads}"),
            version => format!("ONNX Runtime {version}, {threads}"),
        }
    }

    fn load(&self, model: &Model, _: usize, feeds: &[Feed]) -> Result<Box<dyn Inference>, String> {
        Ok(Box::new(self.session(model, feeds, None)?))
    }

    /// A file alone, ONNX Runtime brings its inputs into the order in memory that its routines take,
    /// and its outputs back; within a network that is done seldom. Its profile tells the times of
    /// the nodes, so that those two are left out.
    fn piece_time(
        &self,
        piece: &Model,
        _: usize,
        feeds: &[Feed],
        around: usize,
    ) -> Result<f64, String> {
        let folder = tempfile::tempdir().map_err(text)?;
        let mut loaded = self.session(piece, feeds, Some(folder.path()))?;
        super::repeated(around, || loaded.time())?;
        let file = loaded.session.end_profiling().map_err(text)?;
        let profile = fs_err::read(file).map_err(text)?;
        profile::layers_time(&profile)
    }
}

impl OnnxRuntime {
    /// A session; its profile is written into `profile`.
    fn session(
        &self,
        model: &Model,
        feeds: &[Feed],
        profile: Option<&Path>,
    ) -> Result<Loaded, String> {
        let whole = model.self_contained().and_then(|model| model.to_bytes());
        let bytes = whole.map_err(text)?;
        caught(|| {
            let inputs = tensors(feeds)?;
            let session = Session::builder(&self.library.environment).map_err(text)?;
            let session = session.with_log_level(LogLevel::Fatal).map_err(text)?;
            let session = session.with_intra_threads(self.threads).map_err(text)?;
            let mut session = session.with_inter_threads(1).map_err(text)?;
            if let Some(folder) = profile {
                session = session
                    .with_profiling(folder.join("profile"))
                    .map_err(text)?;
            }
            Ok(Loaded {
                session: session.commit_from_memory(&bytes).map_err(text)?,
                inputs,
            })
        })
    }
}

fn tensors(feeds: &[Feed]) -> Result<Vec<(String, DynValue)>, String> {
    let named = feeds
        .iter()
        .map(|feed| Ok((feed.name.clone(), tensor(feed)?)));
    named.collect::<ort::Result<_>>().map_err(text)
}

fn tensor(feed: &Feed) -> ort::Result<DynValue> {
    macro_rules! of {
        ($type:ty, $from:expr) => {{
            let values: Vec<$type> = feed.values.iter().map($from).collect();
            Tensor::from_array((feed.shape.clone(), values))?.into_dyn()
        }};
    }
    Ok(match feed.element {
        Element::F32 => of!(f32, |v| *v),
        Element::F64 => of!(f64, |v| f64::from(*v)),
        Element::F16 => of!(f16, |v| f16::from_f32(*v)),
        Element::Bf16 => of!(bf16, |v| bf16::from_f32(*v)),
        Element::I8 => of!(i8, |v| *v as i8),
        Element::I16 => of!(i16, |v| *v as i16),
        Element::I32 => of!(i32, |v| *v as i32),
        Element::I64 => of!(i64, |v| *v as i64),
        Element::U8 => of!(u8, |v| *v as u8),
        Element::U16 => of!(u16, |v| *v as u16),
        Element::U32 => of!(u32, |v| *v as u32),
        Element::U64 => of!(u64, |v| *v as u64),
        Element::Bool => of!(bool, |v| *v != 0.0),
    })
}

fn output(name: &str, value: &DynValue) -> Result<Output, String> {
    let Some(element) = value.dtype().tensor_type() else {
        return Err(format!("output `{name}` is no tensor"));
    };
    macro_rules! of {
        ($type:ty, $wide:expr) => {{
            let (_, values) = value.try_extract_tensor::<$type>().map_err(text)?;
            values.iter().map($wide).collect()
        }};
    }
    let shape: Vec<usize> = value
        .shape()
        .iter()
        .map(|&extent| extent as usize)
        .collect();
    let (is_float, values): (bool, Vec<f64>) = match element {
        TensorElementType::Float32 => (true, of!(f32, |v| f64::from(*v))),
        TensorElementType::Float64 => (true, of!(f64, |v| *v)),
        TensorElementType::Float16 => (true, of!(f16, |v| v.to_f64())),
        TensorElementType::Bfloat16 => (true, of!(bf16, |v| v.to_f64())),
        TensorElementType::Int8 => (false, of!(i8, |v| f64::from(*v))),
        TensorElementType::Int16 => (false, of!(i16, |v| f64::from(*v))),
        TensorElementType::Int32 => (false, of!(i32, |v| f64::from(*v))),
        TensorElementType::Int64 => (false, of!(i64, |v| *v as f64)),
        TensorElementType::Uint8 => (false, of!(u8, |v| f64::from(*v))),
        TensorElementType::Uint16 => (false, of!(u16, |v| f64::from(*v))),
        TensorElementType::Uint32 => (false, of!(u32, |v| f64::from(*v))),
        TensorElementType::Uint64 => (false, of!(u64, |v| *v as f64)),
        TensorElementType::Bool => (false, of!(bool, |v| f64::from(u8::from(*v)))),
        other => return Err(format!("output `{name}` holds no numbers, but {other}")),
    };
    Ok(Output {
        shape,
        is_float,
        values,
    })
}

impl Loaded {
    fn outputs<T>(
        &mut self,
        take: impl FnOnce(&ort::session::SessionOutputs<'_>) -> Result<T, String>,
    ) -> Result<T, String> {
        let inputs: Vec<(&str, SessionInputValue<'_>)> = self
            .inputs
            .iter()
            .map(|(name, value)| (name.as_str(), value.into()))
            .collect();
        take(&self.session.run(inputs).map_err(text)?)
    }
}

impl Inference for Loaded {
    fn run(&mut self) -> Result<Vec<Output>, String> {
        caught(|| {
            self.outputs(|outputs| {
                let each = outputs.iter();
                each.map(|(name, value)| output(name, &value)).collect()
            })
        })
    }

    fn feed(&mut self, feeds: &[Feed]) -> Result<(), String> {
        self.inputs = caught(|| tensors(feeds))?;
        Ok(())
    }

    fn time(&mut self) -> Result<Duration, String> {
        caught(|| {
            let started = Instant::now();
            self.outputs(|_| Ok(()))?;
            Ok(started.elapsed())
        })
    }
}
