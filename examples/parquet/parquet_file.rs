//! Where Parquet meets an object store. Neither knows the other, so this is all that depends on
//! their versions.

use std::ops::Range;
use std::sync::Arc;

use anyhow::Result;
use arrow_array::RecordBatch;
use bytes::Bytes;
use futures::future::BoxFuture;
use futures::{FutureExt, TryFutureExt, TryStreamExt};
use object_store::buffered::BufWriter;
use object_store::path::Path;
use object_store::{ObjectStore, ObjectStoreExt};
use parquet::arrow::arrow_reader::ArrowReaderOptions;
use parquet::arrow::async_reader::AsyncFileReader;
use parquet::arrow::{AsyncArrowWriter, ParquetRecordBatchStreamBuilder, ProjectionMask};
use parquet::errors::{ParquetError, Result as ParquetResult};
use parquet::file::metadata::{ParquetMetaData, ParquetMetaDataReader};
use parquet::file::properties::WriterProperties;

/// A Parquet file that is an object.
#[derive(Debug)]
pub(crate) struct ParquetFile {
    store: Arc<dyn ObjectStore>,
    path: Path,
    size: u64,
}

impl ParquetFile {
    pub(crate) fn new(store: Arc<dyn ObjectStore>, path: &Path, size: u64) -> Self {
        Self {
            store,
            path: path.clone(),
            size,
        }
    }

    /// Writes one row group for each batch, as a multipart upload.
    pub(crate) async fn write(
        store: Arc<dyn ObjectStore>,
        path: &Path,
        groups: Vec<RecordBatch>,
    ) -> Result<()> {
        let Some(first) = groups.first() else {
            return Ok(());
        };
        let object = BufWriter::new(store, path.clone());
        let properties = WriterProperties::builder()
            .set_dictionary_enabled(false)
            .build();
        let mut writer = AsyncArrowWriter::try_new(object, first.schema(), Some(properties))?;
        for group in groups {
            writer.write(&group).await?;
            writer.flush().await?;
        }
        writer.close().await?;
        Ok(())
    }

    /// Reads one column of one row group.
    pub(crate) async fn read(self, group: usize, column: &str) -> Result<Vec<RecordBatch>> {
        let builder = ParquetRecordBatchStreamBuilder::new(self).await?;
        let columns = ProjectionMask::columns(builder.parquet_schema(), [column]);
        let rows = builder
            .with_row_groups(vec![group])
            .with_projection(columns)
            .build()?;
        Ok(rows.try_collect().await?)
    }
}

fn external(error: object_store::Error) -> ParquetError {
    ParquetError::External(error.into())
}

impl AsyncFileReader for ParquetFile {
    fn get_bytes(&mut self, range: Range<u64>) -> BoxFuture<'_, ParquetResult<Bytes>> {
        self.store
            .get_range(&self.path, range)
            .map_err(external)
            .boxed()
    }

    fn get_byte_ranges(
        &mut self,
        ranges: Vec<Range<u64>>,
    ) -> BoxFuture<'_, ParquetResult<Vec<Bytes>>> {
        async move {
            let fetched = self.store.get_ranges(&self.path, &ranges).await;
            fetched.map_err(external)
        }
        .boxed()
    }

    fn get_metadata<'a>(
        &'a mut self,
        options: Option<&'a ArrowReaderOptions>,
    ) -> BoxFuture<'a, ParquetResult<Arc<ParquetMetaData>>> {
        async move {
            let size = self.size;
            let metadata = ParquetMetaDataReader::new()
                .with_metadata_options(options.map(|options| options.metadata_options().clone()))
                .load_and_finish(self, size)
                .await?;
            Ok(Arc::new(metadata))
        }
        .boxed()
    }
}
