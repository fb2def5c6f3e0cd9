//! The functions and errors of the contracts that the demonstration uses.
#![allow(
    missing_docs,
    clippy::too_many_arguments,
    reason = "generated from the contracts' interfaces, documented there"
)]

alloy::sol! {
    #[sol(rpc)]
    interface IPoolOperator {
        function moveTo(address pool, int24 tick) external;
    }

    #[sol(rpc)]
    interface ITestToken {
        function mint(address to, uint256 amount) external;
        function approve(address spender, uint256 amount) external returns (bool);
        function balanceOf(address account) external view returns (uint256);
    }

    #[sol(rpc)]
    interface IFeatureRing {
        function poke() external returns (uint64 end);
        function recordedEnd() external view returns (uint64);
        function startOf(uint64 epoch) external view returns (uint256);
        function tickAt(uint64 epoch) external view returns (int24);
    }

    #[sol(rpc)]
    interface IVault {
        event InferenceAccepted(uint64 indexed epoch, bytes32 indexed nullifier, address indexed submitter, int256[] outputs);
        event Rebalanced(uint8 indexed reason, bool indexed buysRisk, uint256 weightBeforeWad, uint256 weightAfterWad, uint256 amountIn, uint256 amountOut, uint256 lossBase);
        event Held(uint8 indexed reason, uint256 weightWad, uint256 targetWad);
        function deposit(uint256 assets, address receiver) external returns (uint256 shares);
        function totalAssets() external view returns (uint256);
        function weightWad() external view returns (uint256);
        function lastEpoch() external view returns (uint64);
        function submitInference(uint64 epoch, int256[] calldata outputs, bytes calldata proof) external;
        function statement(uint64 epoch) external view returns (uint256 context, uint256[] memory inputWords, bytes32 nullifier, bool used, uint256 deadline);
    }
}
