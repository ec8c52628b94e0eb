//! Examples in a run folder: `examples/list.json` and the pictures that it names.

use std::path::{Path, PathBuf};

use secateur_search::store::write_atomically;

use super::{BothDrawn, Drawn, Example, Examples, Picture, Said};

/// The folder, within that of the run.
const FOLDER: &str = "examples";
/// The list in it.
const LIST: &str = "list.json";

impl Examples {
    /// Writes them into a run folder, in place of earlier ones: the list comes last.
    ///
    /// # Errors
    /// What could not be written.
    pub(crate) fn write(&self, run_dir: &Path) -> Result<(), String> {
        let text = |error: &dyn std::fmt::Display| error.to_string();
        let folder = run_dir.join(FOLDER);
        if folder.exists() {
            fs_err::remove_dir_all(&folder).map_err(|error| text(&error))?;
        }
        fs_err::create_dir(&folder).map_err(|error| text(&error))?;
        // A copy, as pictures are listed to be filled.
        let mut shown = self.shown.clone();
        for picture in shown.iter_mut().flat_map(Example::pictures) {
            let path = folder.join(&picture.file);
            fs_err::write(path, &picture.png).map_err(|error| text(&error))?;
        }
        let list = serde_json::to_string_pretty(self).map_err(|error| text(&error))?;
        write_atomically(&folder.join(LIST), list.as_bytes()).map_err(|error| text(&error))
    }

    /// Reads those of a run folder; `None` if it has none.
    ///
    /// # Errors
    /// What is damaged, and how.
    pub(crate) fn read(run_dir: &Path) -> Result<Option<Self>, String> {
        let folder = run_dir.join(FOLDER);
        let list = folder.join(LIST);
        if !list.exists() {
            return Ok(None);
        }
        let text = fs_err::read_to_string(&list).map_err(|error| error.to_string())?;
        let mut found: Self = serde_json::from_str(&text)
            .map_err(|error| format!("`{}`: {error}", list.display()))?;
        for picture in found.shown.iter_mut().flat_map(Example::pictures) {
            let path = beside(&folder, &picture.file)?;
            picture.png = fs_err::read(path).map_err(|error| error.to_string())?;
        }
        Ok(Some(found))
    }
}

/// A file of the folder; names that lead elsewhere are refused.
fn beside(folder: &Path, name: &str) -> Result<PathBuf, String> {
    match Path::new(name).file_name() {
        Some(own) if own == name => Ok(folder.join(name)),
        _ => Err(format!(
            "`{}` names no picture beside it: `{name}`",
            folder.join(LIST).display()
        )),
    }
}

impl Example {
    /// All of its pictures.
    fn pictures(&mut self) -> Vec<&mut Picture> {
        let inputs = self
            .inputs
            .iter_mut()
            .filter_map(|input| match &mut input.drawn {
                Drawn::Picture(picture) => Some(picture),
                Drawn::Line(_) | Drawn::Words(_) => None,
            });
        let mut all: Vec<&mut Picture> = inputs.collect();
        match &mut self.said {
            Said::Maps { maps } => {
                for map in maps {
                    all.extend([&mut map.original, &mut map.result, &mut map.difference]);
                }
            }
            Said::Values { outputs } => {
                for output in outputs {
                    if let Some(BothDrawn::Pictures(pictures)) = &mut output.drawn {
                        all.extend(pictures.iter_mut());
                    }
                }
            }
            Said::Classes { .. } | Said::Boxes { .. } | Said::Texts { .. } => {}
        }
        all
    }
}

#[cfg(test)]
mod tests {
    use super::super::{HeldOut, NamedShare, ShownInput};
    use super::*;

    fn examples(file: &str) -> Examples {
        let picture = Picture {
            file: file.to_string(),
            size: [2, 1],
            png: vec![1, 2, 3],
        };
        let share = NamedShare {
            class: "cat".to_string(),
            share: None,
        };
        Examples {
            network: "small.onnx".to_string(),
            part: HeldOut::Test,
            numbered_in: "the test data".to_string(),
            samples: 3,
            alike: 2,
            shown: vec![Example {
                number: 7,
                file: Some("a b.png".into()),
                label: None,
                original_quality: 1.0,
                result_quality: 0.0,
                inputs: vec![
                    ShownInput {
                        name: "x".to_string(),
                        shape: vec![1, 2],
                        drawn: Drawn::Picture(picture),
                    },
                    ShownInput {
                        name: "y".to_string(),
                        shape: vec![2],
                        drawn: Drawn::Line(vec![None, Some(0.5)]),
                    },
                ],
                said: Said::Classes {
                    original: vec![share.clone()],
                    result: vec![share],
                },
            }],
        }
    }

    #[test]
    fn examples_come_back_whole_and_take_the_place_of_earlier_ones() {
        let dir = tempfile::tempdir().unwrap();
        assert_eq!(Examples::read(dir.path()), Ok(None));
        examples("old.png").write(dir.path()).unwrap();
        let written = examples("01-1-input.png");
        written.write(dir.path()).unwrap();
        assert_eq!(Examples::read(dir.path()), Ok(Some(written)));
        assert!(!dir.path().join("examples/old.png").exists());
    }

    #[test]
    fn what_is_damaged_is_named() {
        let dir = tempfile::tempdir().unwrap();
        examples("01-1-input.png").write(dir.path()).unwrap();
        let fails = |expected: &str| {
            let error = Examples::read(dir.path()).unwrap_err();
            assert!(error.contains(expected), "{error}");
        };
        std::fs::remove_file(dir.path().join("examples/01-1-input.png")).unwrap();
        fails("01-1-input.png");
        let list = dir.path().join("examples/list.json");
        let text = std::fs::read_to_string(&list).unwrap();
        std::fs::write(&list, text.replace("01-1-input", "../../elsewhere")).unwrap();
        fails("names no picture beside it");
        std::fs::write(&list, "{").unwrap();
        fails("list.json");
    }
}
