"""The name tables behind `pickle_globals`: data only, part of the ruleset's hash."""

from __future__ import annotations

from collections.abc import Iterator
from types import MappingProxyType

from gateway.domain.evidence import FindingClass


def _names(module: str, names: str) -> Iterator[str]:
    return (f"{module}.{name}" for name in names.split())


_STORAGES = (
    "DoubleStorage FloatStorage HalfStorage LongStorage IntStorage ShortStorage CharStorage ByteStorage BoolStorage "
    "BFloat16Storage ComplexDoubleStorage ComplexFloatStorage QUInt8Storage QInt8Storage QInt32Storage QUInt4x2Storage "
    "QUInt2x4Storage UntypedStorage"
)
_TENSORS = (
    "DoubleTensor FloatTensor HalfTensor LongTensor IntTensor ShortTensor CharTensor ByteTensor BoolTensor "
    "BFloat16Tensor"
)
_DTYPES = (
    "float64 double float32 float float16 half bfloat16 complex64 complex128 complex32 int64 long int32 "
    "int int16 short int8 "
    "uint8 uint16 uint32 uint64 bool quint8 qint8 qint32 quint4x2 quint2x4 float8_e4m3fn float8_e5m2 float8_e4m3fnuz "
    "float8_e5m2fnuz float8_e8m0fnu float4_e2m1fn_x2 per_tensor_affine per_channel_affine per_tensor_symmetric "
    "per_channel_symmetric per_channel_affine_float_qparams strided sparse_coo sparse_csr "
    "contiguous_format channels_last"
)
_NUMPY_TYPES = (
    "dtype ndarray bool_ int8 int16 int32 int64 uint8 uint16 uint32 uint64 float16 float32 float64 "
    "complex64 complex128 "
    "str_ bytes_ longlong ulonglong intc uintc"
)

SAFE = frozenset(
    [
        *_names("collections", "OrderedDict defaultdict Counter deque"),
        *_names(
            "builtins",
            "set frozenset list dict tuple int float complex str bytes bytearray bool slice range object NoneType",
        ),
        *_names("copyreg", "_reconstructor __newobj__ __newobj_ex__"),
        "_codecs.encode",
        *_names("datetime", "datetime date time timedelta timezone"),
        "decimal.Decimal",
        "fractions.Fraction",
        "uuid.UUID",
        *_names("pathlib", "PurePosixPath PureWindowsPath PosixPath WindowsPath Path PurePath"),
        "argparse.Namespace",
        "types.SimpleNamespace",
        *_names("torch", f"{_STORAGES} {_TENSORS} {_DTYPES} Size Tensor device"),
        *_names("torch.cuda", f"{_STORAGES} {_TENSORS}"),
        *_names("torch.storage", "TypedStorage UntypedStorage _TypedStorage _UntypedStorage"),
        *_names("torch.nn.parameter", "Parameter Buffer UninitializedParameter UninitializedBuffer"),
        *_names("torch._tensor", "Tensor"),
        *_names("torch.serialization", "_get_layout"),
        *_names(
            "torch._utils",
            "_rebuild_tensor _rebuild_tensor_v2 _rebuild_tensor_v3 _rebuild_parameter _rebuild_parameter_with_state "
            "_rebuild_sparse_tensor _rebuild_sparse_csr_tensor _rebuild_qtensor _rebuild_meta_tensor_no_storage "
            "_rebuild_nested_tensor _rebuild_device_tensor_from_numpy _rebuild_device_tensor_from_cpu_tensor",
        ),
        *_names("numpy", _NUMPY_TYPES),
        *_names("numpy.dtypes", "Float32DType Float64DType Int64DType Int32DType"),
        *_names("numpy.core.multiarray", "_reconstruct scalar"),
        *_names("numpy._core.multiarray", "_reconstruct scalar"),
        *_names("numpy.core.numeric", "_frombuffer"),
        *_names("numpy._core.numeric", "_frombuffer"),
        *_names("numpy.ma.core", "_mareconstruct MaskedArray"),
        *_names("numpy.ma", "MaskedArray"),
    ]
)

_NN = {
    "activation": "ReLU ReLU6 GELU SiLU Sigmoid Tanh Softmax LogSoftmax LeakyReLU ELU Hardtanh Hardswish "
    "MultiheadAttention",
    "batchnorm": "BatchNorm1d BatchNorm2d BatchNorm3d SyncBatchNorm",
    "container": "Sequential ModuleList ModuleDict ParameterList ParameterDict",
    "conv": "Conv1d Conv2d Conv3d ConvTranspose1d ConvTranspose2d ConvTranspose3d",
    "dropout": "Dropout Dropout1d Dropout2d",
    "flatten": "Flatten Unflatten",
    "instancenorm": "InstanceNorm1d InstanceNorm2d",
    "linear": "Linear Bilinear Identity NonDynamicallyQuantizableLinear",
    "normalization": "LayerNorm GroupNorm RMSNorm LocalResponseNorm",
    "padding": "ZeroPad2d ReflectionPad2d",
    "pooling": "MaxPool1d MaxPool2d AvgPool1d AvgPool2d AdaptiveAvgPool1d AdaptiveAvgPool2d AdaptiveMaxPool2d",
    "rnn": "LSTM GRU RNN LSTMCell GRUCell",
    "sparse": "Embedding EmbeddingBag",
    "transformer": "Transformer TransformerEncoder TransformerEncoderLayer TransformerDecoder TransformerDecoderLayer",
    "upsampling": "Upsample",
    "pixelshuffle": "PixelShuffle PixelUnshuffle",
    "loss": "CrossEntropyLoss MSELoss L1Loss NLLLoss BCELoss BCEWithLogitsLoss SmoothL1Loss KLDivLoss",
}

# Classes of known libraries whose loading runs only their own code. Whether they are wanted the operator decides.
FRAMEWORK = frozenset(
    [
        *(name for module, names in _NN.items() for name in _names(f"torch.nn.modules.{module}", names)),
        *_names("torch._utils", "_rebuild_from_type_v2 _rebuild_wrapper_subclass"),
        *_names("torch._tensor", "_rebuild_from_type_v2"),
        *_names("torch", "Generator"),
        *_names("joblib.numpy_pickle", "NumpyArrayWrapper"),
        *_names("numpy.random._pickle", "__randomstate_ctor __generator_ctor __bit_generator_ctor"),
        *_names("numpy.random.bit_generator", "SeedSequence __pyx_unpickle_SeedSequence"),
        *_names("numpy.random._mt19937", "MT19937"),
        *_names("numpy.random._pcg64", "PCG64"),
        *_names("sklearn.linear_model._logistic", "LogisticRegression"),
        *_names("sklearn.linear_model._base", "LinearRegression"),
        *_names("sklearn.linear_model._ridge", "Ridge RidgeClassifier"),
        *_names("sklearn.linear_model._coordinate_descent", "Lasso ElasticNet"),
        *_names("sklearn.ensemble._forest", "RandomForestClassifier RandomForestRegressor ExtraTreesClassifier"),
        *_names("sklearn.ensemble._gb", "GradientBoostingClassifier GradientBoostingRegressor"),
        *_names("sklearn.tree._classes", "DecisionTreeClassifier DecisionTreeRegressor ExtraTreeClassifier"),
        *_names("sklearn.tree._tree", "Tree"),
        *_names("sklearn.svm._classes", "SVC SVR LinearSVC LinearSVR"),
        *_names("sklearn.neighbors._classification", "KNeighborsClassifier"),
        *_names("sklearn.naive_bayes", "GaussianNB MultinomialNB BernoulliNB"),
        *_names("sklearn.cluster._kmeans", "KMeans MiniBatchKMeans"),
        *_names("sklearn.decomposition._pca", "PCA"),
        *_names("sklearn.preprocessing._data", "StandardScaler MinMaxScaler RobustScaler"),
        *_names("sklearn.preprocessing._label", "LabelEncoder LabelBinarizer"),
        *_names("sklearn.preprocessing._encoders", "OneHotEncoder OrdinalEncoder"),
        *_names("sklearn.feature_extraction.text", "TfidfVectorizer TfidfTransformer CountVectorizer"),
        *_names("sklearn.impute._base", "SimpleImputer"),
        *_names("sklearn.pipeline", "Pipeline FeatureUnion"),
        *_names("scipy.sparse._csr", "csr_matrix csr_array"),
        *_names("scipy.sparse._csc", "csc_matrix csc_array"),
        *_names("scipy.sparse.csr", "csr_matrix"),
        *_names("scipy.sparse.csc", "csc_matrix"),
        *_names("transformers.training_args", "TrainingArguments OptimizerNames"),
        *_names("transformers.trainer_utils", "IntervalStrategy SchedulerType HubStrategy"),
    ]
)

_EXEC, _FILE, _NET = FindingClass.CODE_EXEC, FindingClass.FILE, FindingClass.NETWORK
_BY_CLASS = {
    _EXEC: (
        "os posix nt posixpath ntpath subprocess _posixsubprocess sys __builtins__ __main__ commands popen2 "
        "runpy pip ensurepip ctypes _ctypes cffi _cffi_backend importlib _frozen_importlib "
        "_frozen_importlib_external imp "
        "zipimport pkgutil pty code codeop "
        "marshal types new pickle _pickle cPickle dill cloudpickle joblib skops shelve copyreg webbrowser antigravity "
        "platform operator _operator functools _functools multiprocessing _multiprocessing threading _thread thread "
        "asyncio concurrent signal pdb bdb cProfile profile pstats timeit trace doctest unittest test "
        "idlelib distutils "
        "setuptools pkg_resources _distutils_hack venv lib2to3 py_compile compileall inspect gc _interpreters "
        "_xxsubinterpreters interpreters _testcapi _testinternalcapi faulthandler site sitecustomize usercustomize "
        "atexit sched contextlib pydoc cgitb turtledemo tkinter "
        "_pyrepl rlcompleter readline cmd IPython jupyter nbconvert pexpect paramiko fabric invoke sh "
        "plumbum numba jinja2 mako "
        "torch.hub torch.jit torch.utils torch.package torch.fx torch._dynamo torch._inductor torch.distributed "
        "torch.multiprocessing torch.testing torch.serialization torch.ops torch.library torch._C "
        "numpy.testing numpy.f2py numpy.distutils numpy.ctypeslib numpy.lib numpy.compat "
        "tensorflow keras sklearn.utils pandas.eval pandas.core.computation pandas.io transformers.utils "
        "transformers.dynamic_module_utils transformers.pipelines huggingface_hub nltk spacy streamlit bokeh "
        "uvicorn gunicorn "
        "ruamel yaml jsonpickle pyarrow pydevd debugpy wheel"
    ),
    _FILE: (
        "io _io _pyio codecs shutil tempfile fileinput glob fnmatch zipfile tarfile gzip bz2 lzma zlib mmap "
        "sqlite3 dbm linecache "
        "tokenize logging configparser csv netrc mimetypes filecmp pathlib tracemalloc crypt fcntl pwd grp "
        "resource termios"
    ),
    _NET: (
        "socket _socket ssl _ssl urllib urllib2 urllib3 httplib http httpx requests aiohttp ftplib smtplib "
        "poplib imaplib nntplib "
        "telnetlib xmlrpc SimpleXMLRPCServer socketserver SocketServer select selectors asyncore asynchat "
        "smtpd wsgiref boto3 "
        "botocore fsspec s3fs gcsfs websocket websockets dns uuid getpass"
    ),
}
DANGEROUS_MODULES = MappingProxyType({m: cls for cls, modules in _BY_CLASS.items() for m in modules.split()})

_BUILTINS = (
    "exec eval compile open __import__ getattr setattr delattr hasattr globals locals vars dir input "
    "breakpoint help map filter "
    "sorted min max sum any all next iter type super property classmethod staticmethod memoryview print "
    "exit quit copyright "
    "__build_class__ __loader__ __spec__ callable zip enumerate reversed"
)

# Acting names in modules that are not dangerous as a whole.
DANGEROUS_NAMES = MappingProxyType(
    {
        **dict.fromkeys(_names("torch", "load save compile classes ops jit _dynamo from_file"), _EXEC),
        **dict.fromkeys(_names("numpy", "load fromfile loadtxt genfromtxt fromregex memmap DataSource"), _FILE),
        **dict.fromkeys(_names("numpy", "save savez savez_compressed savetxt"), _FILE),
        **dict.fromkeys(_names("pandas", "read_pickle eval"), _EXEC),
        **dict.fromkeys(_names("torch.storage", "_load_from_bytes"), _EXEC),
        **dict.fromkeys(_names("collections", "namedtuple"), _EXEC),
        **dict.fromkeys(
            _names("pandas", "read_csv read_json read_html read_sql read_parquet read_excel read_xml"), _NET
        ),
        **dict.fromkeys(_names("_codecs", "lookup register decode"), _EXEC),
        **dict.fromkeys(_names("builtins", _BUILTINS), _EXEC),
        **dict.fromkeys(_names("__builtin__", f"{_BUILTINS} apply execfile file reload unichr"), _EXEC),
        **dict.fromkeys(_names("builtins", "open"), FindingClass.FILE),
    }
)
