//! Panels of several weight matrices whose outputs lie side by side.

/// A panel of one of several matrices, and where its columns are among those of all.
pub(crate) struct PlacedPanel<P> {
    pub(crate) panel: P,
    pub(crate) first_column: usize,
    pub(crate) columns: usize,
}

/// The panels of `matrices`, each of which has `columns` columns in panels of `width`; `panel` returns one by its number.
pub(crate) fn placed_panels<'a, M, P>(
    matrices: &'a [M],
    width: usize,
    columns: impl Fn(&M) -> usize,
    panel: impl Fn(&'a M, usize) -> P,
) -> Vec<PlacedPanel<P>> {
    let (mut placed, mut start) = (Vec::new(), 0);
    for matrix in matrices {
        let columns = columns(matrix);
        placed.extend((0..columns.div_ceil(width)).map(|index| PlacedPanel {
            panel: panel(matrix, index),
            first_column: start + index * width,
            columns: (columns - index * width).min(width),
        }));
        start += columns;
    }
    placed
}
